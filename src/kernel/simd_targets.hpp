#pragma once

// Before <hwy/foreach_target.h> in every file of kernels.
// Vectors whose size is only known at run time cannot stand in arrays, which the kernels keep their sums in.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
