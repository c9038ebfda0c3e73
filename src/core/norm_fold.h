/* norm_fold.h: a norm that at evaluation is one scale and shift per channel, y = scale x + shift,
 * whatever the batch: the product before it can take both into its weights and bias. */
#ifndef NL_NORM_FOLD_H
#define NL_NORM_FOLD_H

#include "core/norm.h"

/* Whether that is so under the policy (NULL: the method's own): every statistic is one per channel
 * and comes from what training stored. */
bool nl_norm_is_channel_affine(const nl_norm *m, const nl_policy *policy);

/* scale and shift (c) of such a norm, from its state of now. NL_ENOMEM. */
nl_status nl_norm_channel_affine(nl_norm *m, const nl_policy *policy, double *scale,
                                 double *shift) NL_CHECKED;

#endif
