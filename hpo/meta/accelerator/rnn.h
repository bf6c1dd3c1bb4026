// The simple recurrent cell, h = tanh(a) or relu(a).
//
// With C = 1 - h^2 or [h > 0]: h' = C a', da = dh C, da' = dh' C + dh C'.
#pragma once

#include "cells.h"

namespace accelerator {

template <class T, bool TANH>
struct Rnn {
    static constexpr Index width = 1, gates = 1, hidden = 0;
    static constexpr bool keeps_gates = false, has_c = false;
    static constexpr Index input_column(Index gate) { return gate; }
    using V = Vector<T>;

    static FLATTEN void forward(Activations<T> s, Step step) {
        each_vector<T>(step, s.units, [&](Index row, Index, Index unit) {
            const V a = load(s.gates + row * s.stride + unit);
            V h;
            if constexpr (TANH)
                h = hyperbolic_tangent(a);
            else
                h = a <= T(0) ? V{} : a;  // NaN stays NaN
            store<T>(s.h + row * s.units + unit, h);
        });
    }

    static FLATTEN void adjoint(Activations<T> s, Step step) {
        each_vector<T>(step, s.units, [&](Index row, Index, Index unit) {
            const Index at = row * s.units + unit;
            store<T>(s.da + row * s.stride + unit, load(s.dh + at) * slope(load(s.h + at)));
        });
    }

    static FLATTEN void restore(Activations<T> s, Step step) { adjoint(s, step); }

    static FLATTEN void tangent(Activations<T> s, Tangents<T> d, Step step) {
        each_vector<T>(step, s.units, [&](Index row, Index, Index unit) {
            const Index at = row * s.units + unit;
            store<T>(d.h + at, load(d.a + row * s.stride + unit) * slope(load(s.h + at)));
        });
    }

    static FLATTEN void adjoint_tangent(Activations<T> s, Tangents<T> d, Step step) {
        each_vector<T>(step, s.units, [&](Index row, Index, Index unit) {
            const Index at = row * s.units + unit;
            const V h = load(s.h + at);
            V da1 = load(d.dh + at) * slope(h);
            if constexpr (TANH) da1 -= 2 * load(s.dh + at) * h * load(d.h + at);
            store<T>(d.a + row * s.stride + unit, da1);
        });
    }

  private:
    static INLINE V slope(V h) {
        if constexpr (TANH)
            return 1 - h * h;
        else
            return h > T(0) ? V{} + T(1) : V{};
    }
};

}  // namespace accelerator
