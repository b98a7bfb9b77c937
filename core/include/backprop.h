/*
 * backprop.h - the one public header of libbackprop, the training core.
 *
 * The library describes, trains and evaluates feed-forward networks on the CPU. It knows arrays, layers,
 * threads and the files it is told to write; it knows no HTTP, SQL or JSON, and it never prints, exits or
 * aborts on anything a caller can cause: it returns a status and fills a struct bp_error.
 *
 * Shapes are written as in PyTorch, without the batch: (features), (channels, length) or (channels, height, width).
 * Samples and everything that leaves the library are in that order; inside, channels come last.
 *
 * Ownership: a function called *_new hands out an object that the matching *_free releases; *_free takes NULL.
 * Everything else is borrowed from the caller for the time its comment says.
 *
 * Threads: objects are not shared between threads; one thread at a time may use a net and its trainer.
 */
#ifndef BACKPROP_H
#define BACKPROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The library is built in single precision. The same sources build in double for gradient checks. */
#ifdef BP_DOUBLE
typedef double bp_real;
#else
typedef float bp_real;
#endif

enum {
	BP_MAX_DIMS = 3,
	BP_MAX_INPUTS = 8, /* inputs of one layer */
	BP_MAX_ARGS = 16,  /* arguments of one item */
	BP_MAX_VALUES = 8, /* numbers of one argument */
	BP_MAX_LIST = 256, /* and of one whose numbers are borrowed: BP_ARG_LONG_LIST */
	BP_MAX_LAYERS = 4096,
	BP_MAX_EPOCHS = 1000000,
	BP_MAX_BATCH = 65536,
	BP_MAX_THREADS = 256,
	BP_MAX_ACCUMULATE = 65536,
	BP_MAX_AUGMENTS = 16,
	BP_MAX_INDEX = 1 << 24, /* indices of an embedding: single precision holds each */
	BP_NAME_MAX = 63,       /* bytes of a layer's name, without the end */
	BP_INPUT = -1,          /* as an input of a layer: the input of the net */
};

enum bp_status {
	BP_OK = 0,
	BP_EINVAL, /* a description that makes no sense; the error names the layer and the field */
	BP_ELIMIT, /* too large for the library or for a limit given by the caller */
	BP_ENOMEM,
	BP_EIO,       /* a file could not be read or written; sys_errno says why */
	BP_ECORRUPT,  /* a file is not what it should be (checksum, magic, version, sizes) */
	BP_EMISMATCH, /* a valid file of another net, or of other training parameters */
	BP_ESYNC      /* a file could not be synced: this one, and others of its disk, may not be what was written */
};

struct bp_error {
	enum bp_status status;
	int layer;         /* index into the spec's layers, or -1 */
	int sys_errno;     /* with BP_EIO and BP_ESYNC */
	char field[32];    /* the argument's name as in the item's table, or "" */
	char message[224]; /* one sentence for a person, without a path */
};

const char *bp_version(void);

/* ---- items: layers, losses, optimizers, schedulers, initialisations and augmentations, described by tables ---- */

enum bp_item_kind { BP_LAYER, BP_LOSS, BP_OPTIMIZER, BP_SCHEDULER, BP_INIT, BP_AUGMENT };

enum bp_arg_kind {
	BP_ARG_BOOL,      /* v[0]: 0 or 1 */
	BP_ARG_INT,       /* v[0], an integer */
	BP_ARG_PAIR,      /* v[0], v[1]: integers for height and width; one given number means both */
	BP_ARG_PADDING,   /* as BP_ARG_PAIR; the word "same" is v[0] = v[1] = BP_SAME, "valid" is 0 */
	BP_ARG_REAL,      /* v[0] */
	BP_ARG_REAL_PAIR, /* v[0], v[1], always given as two numbers (betas) */
	BP_ARG_CHOICE,    /* v[0]: index into the words of choices, separated by '|' */
	BP_ARG_INTS,      /* v[0..n-1]: a list of 1 to BP_MAX_VALUES integers; n = 0 when it is not given */
	BP_ARG_LONG_LIST, /* 1 to BP_MAX_LIST integers, n of them, which the item borrows (list); n = 0 when not given.
			   * Of schedulers alone: a net keeps its layers' items and borrows nothing */
	BP_ARG_WEIGHTS    /* n numbers, which the item borrows (list); n = 0 when they are not given. v[0]: BP_UNSET, or
			   * the index of a word of choices that stands for them: bp_balanced_weights */
};

#define BP_SAME (-1.0)  /* in BP_ARG_PADDING */
#define BP_UNSET (-1.0) /* default of an optional argument whose value the item derives itself */

struct bp_arg {
	const char *name; /* PyTorch's */
	enum bp_arg_kind kind;
	bool required;
	double def[2];       /* default when not required; may be BP_UNSET; a list has none */
	double min, max;     /* inclusive bounds of a given value, each component */
	const char *choices; /* BP_ARG_CHOICE, BP_ARG_WEIGHTS (may be NULL there) */
	const char *help;    /* one sentence */
};

struct bp_value {
	int n; /* numbers of a list, borrowed or not; 0 for the other kinds */
	double v[BP_MAX_VALUES];
};

/* What a loss compares the net's output with. */
enum bp_target_kind {
	BP_TARGET_LABEL,  /* one class index a sample */
	BP_TARGET_VALUES, /* as many values as the output has */
	BP_TARGET_SHARES  /* as many values in [0, 1]; for one output, labels 0 and 1 may stand for them */
};

struct bp_item_info {
	const char *name; /* PyTorch's */
	const char *help;
	const struct bp_arg *args;
	int nargs;
	int min_inputs, max_inputs; /* layers only */
	enum bp_target_kind target; /* losses only */
};

/* One configured item. args[i] belongs to info->args[i]. */
struct bp_item {
	int type; /* index into the table of its kind */
	struct bp_value args[BP_MAX_ARGS];
	/* Of its argument of kind BP_ARG_WEIGHTS or BP_ARG_LONG_LIST, of which an item has one at most; NULL when there
	 * are none. Borrowed: by bp_train_params for as long as a trainer lives that was made with them. */
	const double *list;
};

int bp_item_count(enum bp_item_kind kind);
/* NULL when type is out of range. The result is static. */
const struct bp_item_info *bp_item_info(enum bp_item_kind kind, int type);
/* Index of the item called name, -1 when there is none. */
int bp_item_find(enum bp_item_kind kind, const char *name);
/* Fills *ret with type and its defaults (required arguments are 0). */
void bp_item_defaults(enum bp_item_kind kind, int type, struct bp_item *ret);
/* Value of the argument called name; NULL when the item has none of that name. */
const struct bp_value *bp_item_arg(enum bp_item_kind kind, const struct bp_item *item, const char *name);

/* ---- net ----------------------------------------------------------------------------------------------- */

struct bp_shape {
	int ndim;
	int64_t dim[BP_MAX_DIMS]; /* (features), (channels, length) or (channels, height, width) */
};

/* Number of elements, -1 when it is not positive or does not fit in 2^40. */
int64_t bp_shape_size(const struct bp_shape *s);

#define BP_LR_SCALE_MAX 1e4
#define BP_WEIGHT_DECAY_MAX 1e4

/* How the tensors of a layer start and are trained. All zero: as its type, the optimizer and the schedule say. */
struct bp_layer_options {
	/* Its tensors get no gradient and never change, as with PyTorch's requires_grad False: a batch norm still takes
	 * the statistics of each batch in training, and moves its running ones. */
	bool frozen;
	bool has_lr_scale, has_weight_decay, has_init, has_bias_init; /* which of these are given */
	double lr_scale;                /* times the schedule's rate; 0..BP_LR_SCALE_MAX */
	double weight_decay;            /* instead of the optimizer's; 0..BP_WEIGHT_DECAY_MAX */
	struct bp_item init, bias_init; /* of the tensors "weight" and "bias" */
};

struct bp_layer_spec {
	char name[BP_NAME_MAX + 1]; /* unique in the net, [A-Za-z0-9_.-]+ */
	struct bp_item item;
	int ninputs;
	int inputs[BP_MAX_INPUTS]; /* indices of layers above, or BP_INPUT */
	struct bp_layer_options options;
};

/* A net is a graph in topological order; the last layer is the output. Borrowed for the call only. */
struct bp_net_spec {
	struct bp_shape input;
	int nlayers;
	const struct bp_layer_spec *layers;
};

struct bp_net;

/* Resolves shapes and parameters; weights are allocated (not yet set, see bp_net_init). */
enum bp_status bp_net_new(const struct bp_net_spec *spec, struct bp_net **ret, struct bp_error *err);
void bp_net_free(struct bp_net *net);

struct bp_layer_info {
	const char *name, *type; /* owned by the net */
	struct bp_shape out;
	int64_t parameters; /* trainable */
	int64_t buffers;    /* running statistics and counters */
	int64_t flops;      /* forward, one sample, one multiply-add counts 2 */
	bool frozen;        /* the parameters stay as they are */
};
int bp_net_layers(const struct bp_net *net);
void bp_net_layer_info(const struct bp_net *net, int layer, struct bp_layer_info *ret);
struct bp_shape bp_net_input_shape(const struct bp_net *net);
/* How many indices the net's input may hold: its samples are whole numbers from 0 to less than that, which enter as
 * they are (a byte as 0 to 255; mean and std are not applied). 0: they are ordinary numbers. */
int64_t bp_net_input_indices(const struct bp_net *net);
struct bp_shape bp_net_output_shape(const struct bp_net *net);
int64_t bp_net_parameters(const struct bp_net *net);
int64_t bp_net_flops(const struct bp_net *net);          /* forward, one sample */
int64_t bp_net_training_flops(const struct bp_net *net); /* forward + both backwards, none into the net's input */

/* The initialisation each layer asks for, else PyTorch's default, drawn from Philox4x32-10 keyed by seed. ENOMEM when
 * there is no room to make a weight orthogonal; other initialisations need none. */
enum bp_status bp_net_init(struct bp_net *net, uint64_t seed);

/* Parameters, then buffers, named "layer.weight", "layer.bias", "layer.running_mean", ... as in a state_dict. */
struct bp_tensor_info {
	char name[BP_NAME_MAX + 32];
	int layer;
	bool trainable;
	int ndim;
	int64_t dim[4]; /* PyTorch's order: OIHW, OIW, (out, in), (features) */
};
int bp_net_tensors(const struct bp_net *net);
void bp_net_tensor_info(const struct bp_net *net, int tensor, struct bp_tensor_info *ret);
/* Copies a tensor out or in, in PyTorch's order; data holds the product of its dims. */
void bp_net_tensor_get(const struct bp_net *net, int tensor, bp_real *ret_data);
void bp_net_tensor_set(struct bp_net *net, int tensor, const bp_real *data);

/* ---- data ---------------------------------------------------------------------------------------------- */

enum bp_dtype { BP_U8, BP_F32 };

/*
 * Samples in memory, borrowed for as long as the object that was given them lives. A sample enters the net as
 * (x - mean[c]) / std[c] by channel (by feature for flat samples), where x is u/255 for BP_U8; but see
 * bp_net_input_indices.
 */
struct bp_data {
	struct bp_shape shape;
	enum bp_dtype dtype;
	const void *samples;   /* dense, CHW */
	const int32_t *labels; /* class of each sample, or NULL */
	const float *targets;  /* ntargets values of each sample, or NULL */
	int ntargets;
	const float *mean, *std; /* dim[0] values each; NULL means 0 and 1 */
	const uint32_t *index;   /* a view: entry i is sample index[i]; NULL means all in order */
	int64_t count;           /* entries of the view */
};

/* ---- training ------------------------------------------------------------------------------------------ */

struct bp_train_params {
	int epochs;
	int batch_size;
	uint64_t seed;
	bool shuffle;
	struct bp_item loss, optimizer, scheduler;
	double warmup_epochs;   /* the learning rate first rises linearly, step by step; the scheduler follows; 0 = none
				 */
	double clip_grad_norm;  /* global L2 norm; 0 = none */
	double clip_grad_value; /* 0 = none; applied before the norm */
	int accumulate_steps;   /* batches whose gradients are added up for one optimizer step: it is the step on one
				 * batch of all their samples, but for batch norms. An epoch's last step takes what is
				 * left */
	double ema_decay;    /* how much of the averaged weights is kept in a step (torch.optim.swa_utils); validation
			      * and bp_net_load take the average. 0 = none */
	bool statistics;     /* gradient norms and the layers' health; without them no weight is another */
	bool keep_gradients; /* for bp_trainer_gradient_get; else they need not outlive the step, which is faster */
	int threads;         /* to start with; see bp_trainer_set_threads */
	int max_threads;     /* memory is planned for that many */
	unsigned isa_mask;   /* instruction sets that may be used, BP_ISA_ALL by default */
	/*
	 * What changes each training sample on its way into the net, one after the other; validation and predictions
	 * see the samples as they are. Borrowed for as long as a trainer lives that was made with it.
	 *
	 * Names, arguments, defaults and meaning are those of torchvision.transforms.v2. All work on the sample before
	 * it is normalised by mean and std, and after bytes have become 0 to 1 (ToTensor): so GaussianNoise,
	 * ColorJitter and the value of RandomErasing count from 0, black, to 1, white, for BP_U8. The fill of
	 * RandomCrop and RandomRotation is said as the samples lie: 0 to 255 for BP_U8. Samples of BP_F32 are taken as
	 * they are.
	 *
	 * What is drawn follows from the seed, the epoch, the sample's place in the data set and the entry's in this
	 * list alone. (In bp_trainer_step, the number of steps done stands for the epoch.)
	 */
	const struct bp_item *augment;
	int naugment; /* 0..BP_MAX_AUGMENTS */
};
#define BP_ISA_ALL (~0u)

/* epochs 1, batch 32, seed 0, shuffled, CrossEntropyLoss, SGD, a constant rate, 1 thread, no clipping, statistics, a
 * step each batch, no average. */
void bp_train_params_defaults(struct bp_train_params *ret);

/* Whether one augmentation can be asked of a net's samples; the error names its argument, or "type". */
enum bp_status bp_augment_check(const struct bp_item *item, const struct bp_net *net, struct bp_error *err);

/* The weights that the word "balanced" stands for: of a class with c of the view's n samples n / (classes * c), and 1
 * of one with none. A label that is no class is passed over; ret_weights holds as many as there are classes. */
void bp_balanced_weights(const struct bp_data *train, int classes, double *ret_weights);

/* Bytes a training needs beside its data set and, when it shuffles, 4 more for each sample; exact, from the plan that
 * the trainer then allocates. parameters are the net's own, there already; gradients hold those added up over batches
 * too, and optimizer_state the averaged weights. indices are what the samples' order and views take: 0 here, to be
 * added by who knows how many there are. */
struct bp_memory {
	int64_t parameters, gradients, optimizer_state, activations, workspace, indices, total;
};
enum bp_status bp_net_memory(
	const struct bp_net *net, const struct bp_train_params *params, struct bp_memory *ret, struct bp_error *err);

/* Health of one layer with parameters over one epoch. */
struct bp_layer_stats {
	int layer;
	double grad_norm;         /* L2, mean over the steps, before clipping */
	double grad_norm_clipped; /* the same after clipping */
	double grad_max_abs;      /* largest over the epoch */
	double weight_norm;       /* L2 at the end of the epoch */
	double update_ratio;      /* mean over the steps of |update| / |weight|, both L2 */
	int64_t nonfinite;        /* gradient elements that were NaN or infinite, over the epoch */
};

/* A value that was not computed is NaN. Losses are means over samples, weighted when their classes are. */
struct bp_epoch {
	int epoch;                           /* from 1 */
	int64_t step;                        /* optimizer steps done, from the start of the training */
	double loss, accuracy;               /* training, as seen while the weights moved */
	double val_loss, val_accuracy;       /* validation, without dropout, running batch statistics */
	double lr;                           /* of the last step */
	double grad_norm, grad_norm_clipped; /* global L2, mean over the steps */
	double seconds;                      /* training and validation, with their callbacks */
	double samples_per_second;           /* training alone, with the callbacks of its batches */
	int nstats;                          /* 0 without params.statistics */
	const struct bp_layer_stats *stats;  /* valid during the callback */
};

enum bp_event_kind {
	BP_EVENT_BATCH,
	BP_EVENT_EPOCH,
	BP_EVENT_VALIDATION /* between two batches of the validation: only for bp_trainer_set_threads; never stops */
};

struct bp_event {
	enum bp_event_kind kind;
	int epoch;              /* from 1 */
	int64_t batch, batches; /* done in this epoch, of how many; of the validation in BP_EVENT_VALIDATION */
	int64_t step;
	double loss;                    /* of this batch (BP_EVENT_BATCH) */
	const struct bp_epoch *metrics; /* BP_EVENT_EPOCH */
};

enum bp_answer { BP_CONTINUE, BP_STOP };

struct bp_trainer;

/*
 * The one way by which training speaks to the world: after every batch, and after every epoch once its
 * validation is done. Called on the thread that runs the trainer, outside parallel regions. It may call
 * bp_trainer_save and the bp_trainer_set_* functions (but see BP_EVENT_VALIDATION). BP_STOP ends bp_trainer_run.
 */
typedef enum bp_answer (*bp_callback)(void *user, struct bp_trainer *tr, const struct bp_event *ev);

/* net, train and val (may be NULL) are borrowed until bp_trainer_free. Allocates all that training will use. */
enum bp_status bp_trainer_new(struct bp_net *net, const struct bp_train_params *params, const struct bp_data *train,
	const struct bp_data *val, struct bp_trainer **ret, struct bp_error *err);
void bp_trainer_free(struct bp_trainer *tr);

/* Trains from where the trainer stands to the end of the last epoch. *ret_done: false when the callback stopped it. */
enum bp_status bp_trainer_run(
	struct bp_trainer *tr, bp_callback callback, void *user, bool *ret_done, struct bp_error *err);

/* One optimizer step on entries [first, first + n) of the training view, in order. n <= batch_size. */
enum bp_status bp_trainer_step(struct bp_trainer *tr, int64_t first, int n, double *ret_loss, struct bp_error *err);

/* Threads of the next step, 1..max_threads. Any number gives the same bits. */
void bp_trainer_set_threads(struct bp_trainer *tr, int threads);

/* Ends the threads that trainings and predictions on several have left with the calling one, which wait for more to do
 * as long as it lives. The next that needs some starts them anew, in some 0.1 ms. Not within a parallel region. */
void bp_threads_end(void);

/*
 * The optimizer's lr, the base of the schedule, from the next step on. Without the steps it was changed at, a
 * checkpoint does not say which rates led to it: who restores one sets the rate that holds there. EINVAL beyond the
 * argument's bounds.
 */
enum bp_status bp_trainer_set_lr(struct bp_trainer *tr, double lr, struct bp_error *err);
double bp_trainer_lr(const struct bp_trainer *tr);
/* Another length, from the next step on; the schedule's course becomes as long. EINVAL below the epochs that are done
 * or the warm-up, or out of 1..BP_MAX_EPOCHS. */
enum bp_status bp_trainer_set_epochs(struct bp_trainer *tr, int epochs, struct bp_error *err);

/*
 * What a layer gives, one position of one sample after the other (a flat output has one position): units values, of
 * the channels or features. They may be lost when it returns.
 */
typedef void (*bp_look)(void *user, int layer, const bp_real *values, int64_t units);
/*
 * Shows the outputs of the layers that wanted marks, an element each, of the first n validation samples, or training
 * samples when there is no validation: of a forward pass in evaluation mode, within the trainer's own memory. For the
 * callback after an epoch, or outside a run. No weight depends on it; outputs and gradients of the last step are gone.
 */
void bp_trainer_look(struct bp_trainer *tr, int64_t n, const bool *wanted, bp_look look, void *user);

/* Gradient of a trainable tensor as the last step left it (after clipping), in PyTorch's order; zeros when its layer is
 * frozen, or the trainer was not told to keep_gradients. */
void bp_trainer_gradient_get(const struct bp_trainer *tr, int tensor, bp_real *ret_data);

/* Averaged weights of a trainable tensor (ema_decay), in PyTorch's order. Without averages, or before the first step:
 * the weights themselves. */
void bp_trainer_average_get(const struct bp_trainer *tr, int tensor, bp_real *ret_data);

/* Name of the instruction set that a mask chooses on this machine: "baseline", "avx2", "avx512". Static. */
const char *bp_isa_name(unsigned mask);
/* The one a trainer uses. */
const char *bp_trainer_isa(const struct bp_trainer *tr);

/*
 * A checkpoint is one file that holds all that makes the next bit: weights, buffers, optimizer state, averaged weights,
 * the gradient added up so far, step, place in the epoch with its running sums, generator key. It is written to a
 * temporary name beside path, checksummed, fsynced, renamed, and its directory fsynced.
 */
enum bp_status bp_trainer_save(struct bp_trainer *tr, const char *path, struct bp_error *err);
/* Restores such a file into a trainer of the same net, number of samples and parameters; epochs, the optimizer's lr,
 * threads and instruction sets may differ, and stay the trainer's. On failure the trainer is unchanged, unless the file
 * is whole and fits, and then cannot be read once more (BP_EIO or BP_ECORRUPT): until another is restored such a
 * trainer is good for nothing. There is no second copy in memory to be safe from that. */
enum bp_status bp_trainer_restore(struct bp_trainer *tr, const char *path, struct bp_error *err);
/* Weights (the averaged ones where there are any) and buffers alone, into a net of the same shape. On failure the same
 * holds for the net. */
enum bp_status bp_net_load(struct bp_net *net, const char *path, struct bp_error *err);

/* ---- evaluation ---------------------------------------------------------------------------------------- */

struct bp_predictor;

/* Forward passes only, at most max_batch samples at a time. net is borrowed until bp_predictor_free. */
enum bp_status bp_predictor_new(
	const struct bp_net *net, int max_batch, int threads, struct bp_predictor **ret, struct bp_error *err);
void bp_predictor_free(struct bp_predictor *p);
/* Threads of the next call, 1 to as many as it was made with. Any number gives the same bits. */
void bp_predictor_set_threads(struct bp_predictor *p, int threads);
/* Outputs of entries [first, first + n) of data, n x output size, in PyTorch's order. Any n. */
enum bp_status bp_predictor_run(struct bp_predictor *p, const struct bp_data *data, int64_t first, int64_t n,
	bp_real *ret_out, struct bp_error *err);
struct bp_evaluation {
	double loss;     /* mean over the samples, weighted when their classes are; NaN when none has a weight */
	double accuracy; /* share of the samples that are right; NaN when that cannot be told */
	double weight;   /* of all samples: what the loss counts for in a mean over several data sets */
};
/* All of data. A sample is right when its label's output is the largest; for BCEWithLogitsLoss, when every output is on
 * the side of 0 on which its target is of 1/2. */
enum bp_status bp_predictor_evaluate(struct bp_predictor *p, const struct bp_data *data, const struct bp_item *loss,
	struct bp_evaluation *ret, struct bp_error *err);

#endif
