#pragma once

namespace scvi {

/// From now on the first SIGINT or SIGTERM only raises a flag; a second one ends the program at once.
/// Called by programs, not by the library.
void catch_interrupts();

/// Whether the user has asked to stop.
bool interrupt_requested();

/// Raises or clears the flag, for hosts with another way to cancel and for tests.
void set_interrupt(bool requested);

/// @throws Interrupted when the user has asked to stop; long loops without a state worth keeping call it.
void throw_if_interrupted();

}  // namespace scvi
