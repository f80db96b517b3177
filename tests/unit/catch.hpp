// Catch2, version 2 (Debian 12) or 3 (Debian 13), under one name.
#pragma once
#if JIT_CATCH2 >= 3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
