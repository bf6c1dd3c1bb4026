// Long short-term memory.
//
//     c = f c_prev + i g,  h = o tanh(c)
//
// With A_i = g i (1 - i), A_f = c_prev f (1 - f), A_g = i (1 - g^2), A_o = tanh(c) o (1 - o), E = o (1 - tanh(c)^2):
//     tangent   c' = f c_prev' + A_i a_i' + A_f a_f' + A_g a_g',  h' = A_o a_o' + E c'
//     adjoint   dc += dh E,  da_k = dc A_k (k = i, f, g),  da_o = dh A_o,  dc_prev = f dc
#pragma once

#include "cells.h"

namespace accelerator {

template <class T>
struct Lstm {
    static constexpr Index width = 4, gates = 4, hidden = 0;
    static constexpr bool keeps_gates = true, has_c = true;
    static constexpr Index input_column(Index gate) { return gate; }
    using V = Vector<T>;

    static FLATTEN void forward(Activations<T> s, Step step) {
        const Index n = s.units;
        each_vector<T>(step, n, [&](Index row, Index before, Index unit) {
            T* a = s.gates + row * s.stride + unit;
            const V i = sigmoid(load(a)), f = sigmoid(load(a + n));
            const V g = hyperbolic_tangent(load(a + 2 * n)), o = sigmoid(load(a + 3 * n));
            const V c = f * load(s.c + before * n + unit) + i * g, tanh_c = hyperbolic_tangent(c);
            store<T>(a, i);
            store<T>(a + n, f);
            store<T>(a + 2 * n, g);
            store<T>(a + 3 * n, o);
            store<T>(s.c + row * n + unit, c);
            store<T>(s.tanh_c + row * n + unit, tanh_c);
            store<T>(s.h + row * n + unit, o * tanh_c);
        });
    }

    static FLATTEN void adjoint(Activations<T> s, Step step) {
        const Index n = s.units;
        each_vector<T>(step, n, [&](Index row, Index before, Index unit) {
            const V f = load(s.gates + row * s.stride + unit + n), o = load(s.gates + row * s.stride + unit + 3 * n);
            const V tanh_c = load(s.tanh_c + row * n + unit);
            T* kept = s.dc + row * n + unit;
            const V dc = load(kept) + load(s.dh + row * n + unit) * (o - o * tanh_c * tanh_c);
            store<T>(kept, dc);
            store<T>(s.dc + before * n + unit, f * dc);
            gate_adjoints(s, row, before, unit, tanh_c, dc);
        });
    }

    // h, tanh(c) and da from what a trace keeps.
    static FLATTEN void restore(Activations<T> s, Step step) {
        const Index n = s.units;
        each_vector<T>(step, n, [&](Index row, Index before, Index unit) {
            const V tanh_c = hyperbolic_tangent(load(s.c + row * n + unit));
            store<T>(s.tanh_c + row * n + unit, tanh_c);
            store<T>(s.h + row * n + unit, load(s.gates + row * s.stride + unit + 3 * n) * tanh_c);
            gate_adjoints(s, row, before, unit, tanh_c, load(s.dc + row * n + unit));
        });
    }

    static FLATTEN void tangent(Activations<T> s, Tangents<T> d, Step step) {
        const Index n = s.units;
        each_vector<T>(step, n, [&](Index row, Index before, Index unit) {
            const T *gate = s.gates + row * s.stride + unit, *a = d.a + row * s.stride + unit;
            const V i = load(gate), f = load(gate + n), g = load(gate + 2 * n), o = load(gate + 3 * n);
            const V tanh_c = load(s.tanh_c + row * n + unit);
            const V c = f * (load(d.c + before * n + unit) + load(s.c + before * n + unit) * (1 - f) * load(a + n)) +
                        i * (g * (1 - i) * load(a) + (1 - g * g) * load(a + 2 * n));
            store<T>(d.c + row * n + unit, c);
            store<T>(d.h + row * n + unit, o * (tanh_c * (1 - o) * load(a + 3 * n) + (1 - tanh_c * tanh_c) * c));
        });
    }

    static FLATTEN void adjoint_tangent(Activations<T> s, Tangents<T> d, Step step) {
        const Index n = s.units;
        each_vector<T>(step, n, [&](Index row, Index before, Index unit) {
            const T* gate = s.gates + row * s.stride + unit;
            T* a = d.a + row * s.stride + unit;
            const Index at = row * n + unit, back = before * n + unit;
            const V i = load(gate), f = load(gate + n), g = load(gate + 2 * n), o = load(gate + 3 * n);
            const V c_before = load(s.c + back), tanh_c = load(s.tanh_c + at);
            const V dh = load(s.dh + at), dc = load(s.dc + at);
            const V slope_i = i * (1 - i), slope_f = f * (1 - f), slope_g = 1 - g * g, slope_o = o * (1 - o);
            const V slope_c = 1 - tanh_c * tanh_c;
            const V i1 = slope_i * load(a), f1 = slope_f * load(a + n), g1 = slope_g * load(a + 2 * n);
            const V o1 = slope_o * load(a + 3 * n), tanh_c1 = slope_c * load(d.c + at);
            const V dh1 = load(d.dh + at);
            const V dc1 = load(d.dc + at) + dh1 * o * slope_c + dh * (o1 * slope_c - 2 * o * tanh_c * tanh_c1);
            store<T>(a, slope_i * g * dc1 + dc * (g1 * slope_i + g * i1 * (1 - 2 * i)));
            store<T>(a + n,
                     slope_f * c_before * dc1 + dc * (load(d.c + back) * slope_f + c_before * f1 * (1 - 2 * f)));
            store<T>(a + 2 * n, slope_g * i * dc1 + dc * (i1 * slope_g - 2 * i * g * g1));
            store<T>(a + 3 * n, slope_o * tanh_c * dh1 + dh * (tanh_c1 * slope_o + tanh_c * o1 * (1 - 2 * o)));
            store<T>(d.dc + back, f * dc1 + f1 * dc);
        });
    }

  private:
    static INLINE void gate_adjoints(Activations<T> s, Index row, Index before, Index unit, V tanh_c, V dc) {
        const Index n = s.units;
        const T* gate = s.gates + row * s.stride + unit;
        const V i = load(gate), f = load(gate + n), g = load(gate + 2 * n), o = load(gate + 3 * n);
        T* da = s.da + row * s.stride + unit;
        store<T>(da, dc * g * i * (1 - i));
        store<T>(da + n, dc * load(s.c + before * n + unit) * f * (1 - f));
        store<T>(da + 2 * n, dc * i * (1 - g * g));
        store<T>(da + 3 * n, load(s.dh + row * n + unit) * tanh_c * o * (1 - o));
    }
};

}  // namespace accelerator
