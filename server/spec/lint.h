/* lint.h - what is allowed in a model but seldom meant. For the files of spec/ alone; pure functions. */
#ifndef SPEC_LINT_H
#define SPEC_LINT_H

#include "spec/spec.h"

/* Array of {"code","layer","param","detail","suggestion"}; param is a pointer into the definition as it was sent. New
 * reference. */
json_t *lint_model(const struct spec_model *m, const struct bp_net *net);

#endif
