#pragma once

namespace scvi::kernel {

/// Lets malloc keep what a training step frees, for the next one needs as much again: pages that go back to the
/// system after every step cost as much as its arithmetic.
void keep_freed_memory();

/// Asks the system to back the heap, as far as it has grown, with large pages where it is used next: a step goes
/// through tens of megabytes, each small page of which has to be looked up. Does nothing where the system is not
/// Linux or malloc not glibc's, and costs nothing while the heap has not grown.
void ask_for_large_pages();

}  // namespace scvi::kernel
