// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ringscale::drivers {

/// OpenBLAS chooses kernels for the processor as it is loaded, by a table of models: a build that is older than the
/// processor picks slow ones. Unless OPENBLAS_CORETYPE is set, this times each choice that the processor can run, in
/// a process of its own, sets the variable to the fastest one and starts the program anew, once. It is to be the first
/// call of main; it returns at once where the BLAS is another one, and goes on with OpenBLAS' own choice where
/// processes cannot be started.
void tune_blas_core(int argc, char **argv);

} // namespace ringscale::drivers
