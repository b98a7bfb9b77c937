/* lint.h - what is allowed in a model but seldom meant. For the files of spec/ alone; pure functions. */
#ifndef SPEC_LINT_H
#define SPEC_LINT_H

#include "spec/spec.h"

/* Array of {"layer","param","detail"}; param is a pointer into the definition. New reference. */
json_t *lint_model(const struct spec_model *m);

#endif
