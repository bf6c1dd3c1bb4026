// What a call is about: the structures of the C interface, and what follows from them for every task.
#pragma once

#include <cstdint>
#include <vector>

#include "vectors.h"

extern "C" {

struct Network {
    std::int32_t cell;        // 0 rnn with tanh, 1 rnn with relu, 2 gru, 3 lstm
    std::int32_t layers;
    std::int32_t hidden;
    std::int32_t input_size;  // features of a row, or embedding size
    std::int32_t vocabulary;  // 0: rows of real features
    std::int32_t outputs;
    std::int32_t readout;     // 0 last row of an example, 1 mean of its rows
    std::int32_t loss;        // 0 cross-entropy, 1 mean squared error
};

struct Episode {
    std::int64_t tasks, examples, steps, packed;
    const std::int64_t* sizes;    // (steps,) examples at each step, never growing; their sum is packed
    const void* rows;             // (tasks, packed) tokens, int64; or (tasks, packed, input_size) features, real
    const std::int64_t* example;  // (tasks, packed) which example a row belongs to
    const double* share;          // (tasks, packed) a row's weight in its example's mean
    const std::int64_t* last;     // (tasks, examples) the row of an example's last step
    const void* targets;          // (tasks, examples) classes, int64; or (tasks, examples, outputs) values, real
};

}  // extern "C"

namespace accelerator {

// Rows whose state before stands ``shift`` rows ahead of them.
struct Segment {
    Index begin, end, shift;
};

// What all tasks of a call have in common.
struct Problem {
    Network network;
    Episode episode;
    std::vector<Index> starts;      // (steps,) the first row of a step
    std::vector<Segment> segments;  // of all rows but those of the first step

    Problem(const Network& network, const Episode& episode) : network(network), episode(episode) {
        Index start = 0;
        for (Index step = 0; step < episode.steps; ++step) {
            const Index size = episode.sizes[step], shift = step ? episode.sizes[step - 1] : 0;
            if (step > 1 && segments.back().shift == shift)
                segments.back().end = start + size;
            else if (step > 0)
                segments.push_back({start, start + size, shift});
            starts.push_back(start);
            start += size;
        }
    }

    Index parameters() const { return (network.vocabulary > 0) + 4 * Index(network.layers) + 2; }
};

enum Code { kDone = 0, kBadNetwork = 1, kBadEpisode = 2, kBadIndex = 3, kNoMemory = 4, kBadArgument = 5 };

inline bool all_below(const std::int64_t* values, Index count, Index bound) {
    bool outside = false;
    for (Index i = 0; i < count; ++i) outside |= values[i] < 0 || values[i] >= bound;
    return !outside;
}

// Whether every index that the computation follows stays inside its array.
inline Code check(const Network* network, const Episode* episode, bool shapes_only) {
    if (!network || !episode) return kBadArgument;
    const Network& n = *network;
    const Episode& e = *episode;
    const std::int64_t large = 1 << 24;
    if (n.cell < 0 || n.cell > 3 || n.layers < 1 || n.layers > 1024 || n.vocabulary < 0) return kBadNetwork;
    if (n.hidden < 1 || n.hidden > large || n.input_size < 1 || n.input_size > large) return kBadNetwork;
    if (n.outputs < 1 || n.outputs > large) return kBadNetwork;
    if (n.readout < 0 || n.readout > 1 || n.loss < 0 || n.loss > 1) return kBadNetwork;
    if (e.tasks < 0 || e.examples < 1 || e.steps < 1 || e.packed < 1 || !e.sizes) return kBadEpisode;
    if (e.examples > large || e.steps > e.packed || e.packed > (std::int64_t(1) << 32)) return kBadEpisode;
    std::int64_t total = 0, before = e.examples;
    for (std::int64_t step = 0; step < e.steps; ++step) {
        if (e.sizes[step] < 1 || e.sizes[step] > before) return kBadEpisode;
        total += before = e.sizes[step];
    }
    if (total != e.packed) return kBadEpisode;
    if (shapes_only || e.tasks == 0) return kDone;
    if (!e.rows || !e.example || !e.share || !e.last || !e.targets) return kBadArgument;
    const Index rows = e.tasks * e.packed, examples = e.tasks * e.examples;
    if (n.vocabulary && !all_below(static_cast<const std::int64_t*>(e.rows), rows, n.vocabulary)) return kBadIndex;
    if (n.loss == 0 && !all_below(static_cast<const std::int64_t*>(e.targets), examples, n.outputs)) return kBadIndex;
    if (!all_below(e.example, rows, e.examples) || !all_below(e.last, examples, e.packed)) return kBadIndex;
    return kDone;
}

}  // namespace accelerator
