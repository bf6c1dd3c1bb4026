// Vectors of the widest registers that the build targets, and the functions of one number that the cells need.
//
// Everything is written with the vector extensions of GCC and Clang: one source for AVX-512, AVX2 and 128-bit machines.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))
#define FLATTEN __attribute__((flatten))  // everything that the function calls is inlined

namespace accelerator {

using Index = std::ptrdiff_t;

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

template <class T>
constexpr Index lanes = kBytes / sizeof(T);

typedef float Floats __attribute__((vector_size(kBytes)));
typedef double Doubles __attribute__((vector_size(kBytes)));
typedef std::int32_t Ints __attribute__((vector_size(kBytes)));

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
    typedef Floats type;
};
template <>
struct VectorOf<double> {
    typedef Doubles type;
};
template <class T>
using Vector = typename VectorOf<T>::type;

// Addresses need no alignment beyond the number's own.
template <class T>
INLINE Vector<T> load(const T* from) {
    Vector<T> value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
INLINE void store(T* to, Vector<T> value) {
    std::memcpy(to, &value, sizeof value);
}

// A count of numbers as the least multiple of a vector.
template <class T>
constexpr Index padded(Index count) {
    return (count + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// numerator / denominator to about 1 ulp; denominators stay in [1e-37, 1e37].
INLINE Floats quotient(Floats numerator, Floats denominator) {
#ifdef __AVX512F__
    const Floats inverse = (Floats)_mm512_maskz_rcp14_ps(0xffff, (__m512)denominator);
    const Floats guess = numerator * inverse;
    return guess + inverse * (numerator - denominator * guess);
#else
    return numerator / denominator;
#endif
}

// NaN stays NaN.
INLINE Floats clamped(Floats x, float bound) {
    const Floats high = Floats{} + bound, low = -high;
#ifdef __AVX512F__
    const __m512 below = _mm512_maskz_min_ps(0xffff, (__m512)high, (__m512)x);  // the second one if either is NaN
    return (Floats)_mm512_maskz_max_ps(0xffff, (__m512)low, below);
#else
    x = x > high ? high : x;
    return x < low ? low : x;
#endif
}

// exp(x) as scale * (1 + rest) with a power of 2 in front and |log(1 + rest)| <= log(2) / 2; |x| <= 87.
// Reduction and polynomial of Cephes's expf (Moshier).
struct Exponential {
    Floats scale, rest;
};

INLINE Exponential exponential(Floats x) {
    const float rounding = 12582912.0f;  // 1.5 * 2^23: its last bits take the nearest integer
    const Floats shifted = x * 1.44269504088896341f + rounding;
    const Floats count = shifted - rounding;
    const Floats r = (x - count * 0.693359375f) + count * 2.12194440e-4f;  // log(2) in two parts
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return {(Floats)(((Ints)shifted << 23) + 0x3f800000), p * (r * r) + r};
}

INLINE Floats sigmoid(Floats x) {
    const Exponential e = exponential(clamped(-x, 80.0f));
    return quotient(Floats{} + 1.0f, (e.scale + 1.0f) + e.scale * e.rest);
}

// (exp(2 x) - 1) / (exp(2 x) + 1), with the numerator accurate where it is small.
INLINE Floats hyperbolic_tangent(Floats x) {
    const Exponential e = exponential(clamped(x + x, 40.0f));
    const Floats numerator = e.scale * e.rest + (e.scale - 1.0f);
    return quotient(numerator, numerator + 2.0f);
}

INLINE Doubles sigmoid(Doubles x) {
    for (Index lane = 0; lane < lanes<double>; ++lane) x[lane] = 1.0 / (1.0 + std::exp(-x[lane]));
    return x;
}

INLINE Doubles hyperbolic_tangent(Doubles x) {
    for (Index lane = 0; lane < lanes<double>; ++lane) x[lane] = std::tanh(x[lane]);
    return x;
}

}  // namespace accelerator
