// The gated recurrent unit.
//
//     m = W_hn h_prev + b_hn,  n = tanh(p + r m),  h = n + z (h_prev - n)
//
// Columns: p (then n), r, z, m. With C_n = (1 - z) (1 - n^2):
//     adjoint   dp = dh C_n,  dm = dp r,  da_r = dp m r (1 - r),  da_z = dh (h_prev - n) z (1 - z),  dh_prev += dh z
//     tangent   n' = (1 - n^2) (p' + r m' + m r'),  h' = (1 - z) n' + z h_prev' + z' (h_prev - n)
#pragma once

#include "cells.h"

namespace accelerator {

template <class T>
struct Gru {
    static constexpr Index width = 4, gates = 3, hidden = 1;
    static constexpr bool keeps_gates = true, has_c = false;
    static constexpr Index input_column(Index gate) { return (gate + 1) % 3; }  // torch's order: r, z, n
    using V = Vector<T>;

    static FLATTEN void forward(Activations<T> s, Step step) {
        const Index units = s.units;
        each_vector<T>(step, units, [&](Index row, Index before, Index unit) {
            T* a = s.gates + row * s.stride + unit;
            const V r = sigmoid(load(a + units)), z = sigmoid(load(a + 2 * units));
            const V n = hyperbolic_tangent(load(a) + r * load(a + 3 * units));
            store<T>(a, n);
            store<T>(a + units, r);
            store<T>(a + 2 * units, z);
            store<T>(s.h + row * units + unit, n + z * (load(s.h + before * units + unit) - n));
        });
    }

    static FLATTEN void adjoint(Activations<T> s, Step step) {
        const Index units = s.units;
        each_vector<T>(step, units, [&](Index row, Index before, Index unit) {
            T* back = s.dh + before * units + unit;
            const V z = load(s.gates + row * s.stride + unit + 2 * units);
            store<T>(back, load(back) + load(s.dh + row * units + unit) * z);
            gate_adjoints(s, row, before, unit);
        });
    }

    static FLATTEN void restore(Activations<T> s, Step step) {
        each_vector<T>(step, s.units,
                       [&](Index row, Index before, Index unit) { gate_adjoints(s, row, before, unit); });
    }

    static FLATTEN void tangent(Activations<T> s, Tangents<T> d, Step step) {
        const Index units = s.units;
        each_vector<T>(step, units, [&](Index row, Index before, Index unit) {
            const T *gate = s.gates + row * s.stride + unit, *a = d.a + row * s.stride + unit;
            const V n = load(gate), r = load(gate + units), z = load(gate + 2 * units), m = load(gate + 3 * units);
            const V r1 = r * (1 - r) * load(a + units), z1 = z * (1 - z) * load(a + 2 * units);
            const V n1 = (1 - n * n) * (load(a) + r * load(a + 3 * units) + m * r1);
            const V h1 = n1 + z * (load(d.h + before * units + unit) - n1) +
                         z1 * (load(s.h + before * units + unit) - n);
            store<T>(d.h + row * units + unit, h1);
        });
    }

    static FLATTEN void adjoint_tangent(Activations<T> s, Tangents<T> d, Step step) {
        const Index units = s.units;
        each_vector<T>(step, units, [&](Index row, Index before, Index unit) {
            const T* gate = s.gates + row * s.stride + unit;
            T* a = d.a + row * s.stride + unit;
            const Index at = row * units + unit, back = before * units + unit;
            const V n = load(gate), r = load(gate + units), z = load(gate + 2 * units), m = load(gate + 3 * units);
            const V dh = load(s.dh + at), dh1 = load(d.dh + at), m1 = load(a + 3 * units);
            const V slope_n = 1 - n * n, slope_r = r * (1 - r), slope_z = z * (1 - z);
            const V r1 = slope_r * load(a + units), z1 = slope_z * load(a + 2 * units);
            const V n1 = slope_n * (load(a) + r * m1 + m * r1);
            const V step_z = load(s.h + back) - n, step_z1 = load(d.h + back) - n1;
            const V dp = dh * (1 - z) * slope_n;
            const V dp1 = dh1 * (1 - z) * slope_n - dh * (z1 * slope_n + 2 * (1 - z) * n * n1);
            store<T>(a, dp1);
            store<T>(a + units, dp1 * m * slope_r + dp * (m1 * slope_r + m * r1 * (1 - 2 * r)));
            store<T>(a + 2 * units,
                     dh1 * step_z * slope_z + dh * (step_z1 * slope_z + step_z * z1 * (1 - 2 * z)));
            store<T>(a + 3 * units, r * dp1 + r1 * dp);
            store<T>(d.dh + back, load(d.dh + back) + dh1 * z + dh * z1);
        });
    }

  private:
    static INLINE void gate_adjoints(Activations<T> s, Index row, Index before, Index unit) {
        const Index units = s.units;
        const T* gate = s.gates + row * s.stride + unit;
        const V n = load(gate), r = load(gate + units), z = load(gate + 2 * units), m = load(gate + 3 * units);
        const V dh = load(s.dh + row * units + unit), dp = dh * (1 - z) * (1 - n * n);
        T* da = s.da + row * s.stride + unit;
        store<T>(da, dp);
        store<T>(da + units, dp * m * r * (1 - r));
        store<T>(da + 2 * units, dh * (load(s.h + before * units + unit) - n) * z * (1 - z));
        store<T>(da + 3 * units, dp * r);
    }
};

}  // namespace accelerator
