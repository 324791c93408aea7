// Included before everything else when clang-tidy reads the sources. libstdc++'s std::vector is constexpr in C++20,
// so clang 14 instantiates it wherever it is named, which LibTorch's headers do with types that are not complete yet.
// Here it is the vector of C++17, which waits.
#pragma once

#include <string>

#ifdef _GLIBCXX20_CONSTEXPR
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
// Declared constexpr by now; its definition among vector<bool>'s would not be.
#define __fill_a1 scvi_unused_fill
#include <vector>
#undef __fill_a1
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr
#endif
