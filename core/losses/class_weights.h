/* class_weights.h - the argument that CrossEntropyLoss and NLLLoss share. Included by their files. */
#ifndef BP_LOSSES_CLASS_WEIGHTS_H
#define BP_LOSSES_CLASS_WEIGHTS_H

#include "losses/loss.h"

#define BP_CLASS_WEIGHTS                                                                                               \
	{                                                                                                              \
		.name = "weight", .kind = BP_ARG_WEIGHTS, .def = {BP_UNSET}, .min = 0, .max = 1e6,                     \
		.choices = "balanced",                                                                                 \
		.help = "What a sample of each class counts for: one number a class, or \"balanced\" for "             \
			"samples / (classes * samples of the class), from the training labels."                        \
	}

#endif
