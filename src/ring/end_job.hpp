// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ringscale::ring {

/// Ends every rank of the job with exit code `code` (not 0), from any rank at any moment, whether or not MPI was
/// started. Output is flushed, nothing is finalised. The launcher sees `code`: hydra takes it from MPI_Abort (after a
/// plain exit it kills the other ranks and sometimes reports that signal instead), srun from the exit itself (after
/// MPI_Abort it reports 137).
[[noreturn]] void end_job(int code);

} // namespace ringscale::ring
