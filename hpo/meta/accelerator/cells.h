// What a recurrent cell is: the pointwise formulas of four scans, as hpo/meta/cells defines the forward one.
//
// Written for one layer and one task. Every packed row holds Cell::width columns of ``units`` numbers (the hidden size
// padded to whole vectors; the padding is zero in every state and adjoint). W_ih x goes to the columns from 0 on and
// W_hh h to those from Cell::hidden on, Cell::gates of each; input_column(k) says where gate k of W_ih has its column.
//
// A dash is a derivative in the direction of a tangent: h' = dh/dparams v. A d in front is an adjoint: dh = dloss/dh.
#pragma once

#include "vectors.h"

namespace accelerator {

// One time step: ``rows`` rows from ``first`` on; the state before it stands in those from ``previous`` on.
struct Step {
    Index rows, first, previous;
};

// What a layer computes from its parameters. Rows of gates and da: stride numbers apart; of the others: units.
// The states h, c and the adjoints dh, dc have rows in front, for the zero state before the first step.
template <class T>
struct Activations {
    Index units, stride;
    T* gates;       // after the nonlinearities
    T* h;           // output
    T* c;           // LSTM: cell state
    T* tanh_c;      // LSTM
    T *dh, *dc;     // adjoints of the states
    T* da;          // adjoints of the gates before the nonlinearities; may be the same memory as gates
};

// What it computes from a direction.
template <class T>
struct Tangents {
    T* a;         // of the gates before the nonlinearities; later the tangents of their adjoints da
    T *h, *c;     // of the states
    T *dh, *dc;   // of their adjoints
};

// Calls formula(row, row of the state before, first unit of a vector) for every vector of a step.
template <class T, class Formula>
INLINE void each_vector(Step step, Index units, Formula formula) {
    for (Index row = 0; row < step.rows; ++row)
        for (Index unit = 0; unit < units; unit += lanes<T>) formula(step.first + row, step.previous + row, unit);
}

}  // namespace accelerator
