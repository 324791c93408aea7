// Compiled once, so that its precompiled header can serve every target that uses LibTorch.
