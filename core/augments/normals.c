/*
 * normals.c - numbers of the standard normal distribution, many at a time, for noise. Called by the threads that gather
 * a batch (augments/augment.h).
 *
 * Box and Muller's pairs (1958), with logarithm, sine and cosine in plain loops of which the compiler makes vectors.
 * With the functions of libm, one number after the other, noise on 32x32 pictures took 54 us each instead of 26, 3 % of
 * a step of ResNet-20 instead of 1.5. The polynomials are those of Cephes (Moshier) for single precision, good to 1e-7,
 * which is fine enough for noise.
 */
#include "augments/augment.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

enum { BLOCKS = BP_NORMALS / 4, PAIRS = BP_NORMALS / 2, ROUNDS = 10 };

/* The generator of base/rng.h, some counters abreast; even and odd numbers of the blocks apart. */
static void draw(const struct bp_dice *d, uint64_t counter, uint32_t ret_even[PAIRS], uint32_t ret_odd[PAIRS])
{
	uint32_t c[4][BLOCKS], k0 = (uint32_t)d->seed, k1 = (uint32_t)(d->seed >> 32);
	for (int i = 0; i < BLOCKS; i++) {
		c[0][i] = (uint32_t)counter + (uint32_t)i; /* blocks are a multiple of BLOCKS: no carry */
		c[1][i] = (uint32_t)(counter >> 32);
		c[2][i] = d->sub;
		c[3][i] = BP_RNG_AUGMENT;
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < BLOCKS; i++) {
			uint64_t p0 = (uint64_t)0xD2511F53u * c[0][i], p1 = (uint64_t)0xCD9E8D57u * c[2][i];
			c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
			c[1][i] = (uint32_t)p1;
			c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
			c[3][i] = (uint32_t)p0;
		}
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	for (int i = 0; i < BLOCKS; i++) {
		ret_even[2 * i] = c[0][i];
		ret_odd[2 * i] = c[1][i];
		ret_even[2 * i + 1] = c[2][i];
		ret_odd[2 * i + 1] = c[3][i];
	}
}

/* sqrt(-2 log(u)), u = (upper 31 bits + 1/2) / 2^31. With u = 2^e m and m about 1, log(u) = e log(2) + log(m). */
static void radii(const uint32_t r[PAIRS], float ret[PAIRS])
{
	static const int32_t half_root = 0x3f3504f3; /* sqrt(1/2) */
	float u[PAIRS], m[PAIRS];
	int32_t bits[PAIRS], e[PAIRS];
	for (int i = 0; i < PAIRS; i++)
		u[i] = ((float)(int32_t)(r[i] >> 1) + 0.5f) * 0x1p-31f;
	memcpy(bits, u, sizeof(bits));
	for (int i = 0; i < PAIRS; i++) {
		e[i] = (bits[i] - half_root) >> 23;
		bits[i] -= e[i] * (1 << 23);
	}
	memcpy(m, bits, sizeof(m));
	for (int i = 0; i < PAIRS; i++) {
		float f = m[i] - 1, p = 7.0376836292e-2f;
		p = p * f - 1.1514610310e-1f;
		p = p * f + 1.1676998740e-1f;
		p = p * f - 1.2420140846e-1f;
		p = p * f + 1.4249322787e-1f;
		p = p * f - 1.6668057665e-1f;
		p = p * f + 2.0000714765e-1f;
		p = p * f - 2.4999993993e-1f;
		p = p * f + 3.3333331174e-1f;
		float log_u = f + (p * f - 0.5f) * f * f + (float)e[i] * 0.69314718f;
		ret[i] = sqrtf(log_u < 0 ? -2 * log_u : 0);
	}
}

/* An angle of (r - 2^29) / 2^32 turns: its quarter are the upper two bits, and what is left lies within an eighth of a
 * turn of that quarter's axis. */
static void directions(const uint32_t r[PAIRS], float ret_x[PAIRS], float ret_y[PAIRS])
{
	for (int i = 0; i < PAIRS; i++) {
		int32_t quarter = (int32_t)(r[i] >> 30), rest = (int32_t)(r[i] & 0x3fffffff) - (1 << 29);
		float a = (float)rest * (1.5707963f * 0x1p-30f), z = a * a;
		float sine = a + a * z * ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f);
		float cosine =
			1 - 0.5f * z +
			z * z * ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f);
		float x = quarter & 1 ? sine : cosine, y = quarter & 1 ? cosine : sine;
		ret_x[i] = (quarter + 1) & 2 ? -x : x;
		ret_y[i] = quarter & 2 ? -y : y;
	}
}

void bp_dice_normals(const struct bp_dice *d, int64_t group, bp_real ret[BP_NORMALS])
{
	uint32_t even[PAIRS], odd[PAIRS];
	float radius[PAIRS], x[PAIRS], y[PAIRS];
	uint64_t sample = d->counter >> 32 << 32;
	draw(d, sample | BP_DICE_NORMALS | (uint64_t)group * BLOCKS, even, odd);
	radii(even, radius);
	directions(odd, x, y);
	for (int i = 0; i < PAIRS; i++) {
		ret[2 * i] = (bp_real)(radius[i] * x[i]);
		ret[2 * i + 1] = (bp_real)(radius[i] * y[i]);
	}
}
