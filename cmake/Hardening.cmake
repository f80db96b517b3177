# Flags that every target of ours is built with: warnings as errors and the hardening a root daemon owes its host.
add_library(jit_flags INTERFACE)
target_include_directories(jit_flags SYSTEM INTERFACE)
target_include_directories(jit_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(jit_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-qual -Wcast-align -Wformat=2 -Wundef -Wvla -Wnull-dereference -Wimplicit-fallthrough
  -fstack-protector-strong -fno-strict-overflow -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # These two follow inlined library code and cry wolf with optimisation on (GCC bug 80635, std::optional); clang and the
  # sanitizers look for the same.
  target_compile_options(jit_flags INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized -Wduplicated-cond -Wlogical-op)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(jit_flags INTERFACE -fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
  target_compile_options(jit_flags INTERFACE -mbranch-protection=standard)
endif()
target_compile_definitions(jit_flags INTERFACE _GLIBCXX_ASSERTIONS)
target_link_options(jit_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed)

if(JIT_SANITIZE)
  target_compile_options(jit_flags INTERFACE -fsanitize=${JIT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(jit_flags INTERFACE -fsanitize=${JIT_SANITIZE})
else()
  target_compile_options(jit_flags INTERFACE -fstack-clash-protection)
  # FORTIFY needs optimisation; Debian's build flags may have set their own level already.
  target_compile_options(jit_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()

# Tests are compiled as fast as the compiler can, the product that they call as it ships. (-Wno-cpp: FORTIFY, which the build
# type asks for, says that it does nothing without optimisation.)
add_library(jit_test_flags INTERFACE)
target_link_libraries(jit_test_flags INTERFACE jit_flags)
target_compile_options(jit_test_flags INTERFACE -O0 -g1 -Wno-cpp)

# jit_library(NAME SOURCES... [LINK libs...]): a static library of one part.
function(jit_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE jit_flags)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

# jit_program(NAME SOURCES... [LINK libs...]): a position independent executable.
function(jit_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name} PRIVATE ${arg_LINK} jit_flags)
  target_link_options(${name} PRIVATE -pie)
endfunction()
