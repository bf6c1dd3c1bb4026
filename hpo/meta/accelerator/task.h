// One task after the other through the whole network, in the same scratch memory.
#pragma once

#include <memory>
#include <vector>

#include "clock.h"
#include "head.h"
#include "layer.h"

namespace accelerator {

// Tensors in the order [embedding], w_ih, w_hh, b_ih, b_hh of every layer, head.weight, head.bias. Task t's block
// starts t * stride numbers after the pointer; a missing tensor is nullptr.
template <class T>
struct Tensors {
    T* const* data;
    const std::int64_t* strides;

    T* at(Index tensor, Index task) const {
        return data && data[tensor] ? data[tensor] + (strides ? strides[tensor] * task : 0) : nullptr;
    }
};

// Results (tasks, *shape) are contiguous.
inline std::vector<std::int64_t> contiguous(const Network& n, Index gates) {
    std::vector<std::int64_t> strides;
    if (n.vocabulary) strides.push_back(std::int64_t(n.vocabulary) * n.input_size);
    const std::int64_t rows = std::int64_t(gates) * n.hidden;
    for (Index layer = 0; layer < n.layers; ++layer)
        strides.insert(strides.end(), {rows * (layer ? n.hidden : n.input_size), rows * n.hidden, rows, rows});
    strides.insert(strides.end(), {std::int64_t(n.outputs) * n.hidden, n.outputs});
    return strides;
}

template <class T, class Cell>
class Task {
  public:
    enum class Work { kGradient, kTracedGradient, kProduct };

    // results: which tensors are wanted, as in Tensors.
    Task(const Problem& problem, Work work, void* const* results)
        : problem_(problem),
          work_(work),
          layers_(problem.network.layers),
          strides_(contiguous(problem.network, Cell::gates)) {
        const Network& n = problem.network;
        tokens_ = n.vocabulary > 0;
        wants_embedding_ = tokens_ && results && results[0];
        for (Index tensor = 0; results && tensor < problem.parameters(); ++tensor)
            wants_any_ |= results[tensor] != nullptr;
        width_ = padded<T>(n.input_size);
        results_ = {reinterpret_cast<T* const*>(results), strides_.data()};
        slots_.assign(n.vocabulary, -1);
        index_.resize(tokens_ ? problem.episode.packed : 0);
    }

    // Bytes of a task's trace.
    std::size_t trace_bytes() {
        Arena scratch, kept;
        lay_out(scratch, kept);
        return kept.used();
    }

    void reserve() {
        Arena scratch;
        lay_out(scratch, scratch);
        scratch_ = block().reserve(scratch.used());
    }

    // trace: nullptr for a gradient alone.
    void gradient(Index task, Tensors<const T> params, char* trace, T* predictions) {
        Clock clock;
        place(trace);
        read_input(task, params);
        pack(task, params);
        forward(task);
        if (predictions) head_.write_predictions(predictions);
        clock.ended(kForward);
        if (trace || wants_any_) adjoint(task, results_);
        clock.ended(kAdjoint);
    }

    // trace: what gradient has written for this task and these parameters; nullptr: computed here.
    void product(Index task, Tensors<const T> params, Tensors<const T> direction, char* trace) {
        Clock clock;
        place(trace);
        read_input(task, params);
        pack(task, params);
        if (!trace) {
            forward(task);
            clock.ended(kForward);
            adjoint(task, {nullptr, nullptr});
            clock.ended(kAdjoint);
        }
        pack_direction(task, direction);
        tangent();
        clock.ended(kTangent);
        adjoint_tangent(task);
        clock.ended(kCurvature);
    }

  private:
    // Kept between the calls of a thread: its pages are in memory, and mostly in the cache.
    static Block& block() {
        static thread_local Block block;
        return block;
    }

    void lay_out(Arena& scratch, Arena& kept) {
        const Network& n = problem_.network;
        const Index most = tokens_ ? std::min<Index>(problem_.episode.packed, n.vocabulary) : problem_.episode.packed;
        const bool product = work_ == Work::kProduct;
        x_ = scratch.take<T>(most * width_);
        dx_ = tokens_ ? scratch.take<T>(most * width_) : nullptr;
        x1_ = tokens_ && product ? scratch.take<T>(most * width_) : nullptr;
        for (Index layer = 0; layer < n.layers; ++layer) {
            const bool input_adjoint = layer || wants_embedding_ || (tokens_ && product);
            layers_[layer].lay_out(problem_, layer ? n.hidden : n.input_size, tokens_ && !layer,
                                   {input_adjoint, product, work_ != Work::kGradient}, scratch, kept);
        }
        head_.lay_out(problem_, product, scratch, kept);
    }

    void place(char* trace) {
        Arena scratch(scratch_), kept(trace);
        lay_out(scratch, trace ? kept : scratch);
    }

    // The task's features, or the rows of the table that occur in it.
    void read_input(Index task, Tensors<const T> params) {
        const Network& n = problem_.network;
        const Index packed = problem_.episode.packed;
        input_ = {x_, packed, n.input_size, width_, nullptr};
        if (!tokens_) {
            const T* rows = static_cast<const T*>(problem_.episode.rows) + task * packed * n.input_size;
            for (Index row = 0; row < packed; ++row) copy_row(rows + row * n.input_size, x_ + row * width_);
            return;
        }
        const std::int64_t* tokens = static_cast<const std::int64_t*>(problem_.episode.rows) + task * packed;
        for (Index token : occurring_) slots_[token] = -1;
        occurring_.clear();
        for (Index row = 0; row < packed; ++row) {
            Index& slot = slots_[tokens[row]];
            if (slot < 0) {
                slot = static_cast<Index>(occurring_.size());
                occurring_.push_back(tokens[row]);
            }
            index_[row] = slot;
        }
        input_.rows = static_cast<Index>(occurring_.size());
        input_.index = index_.data();
        gather(params.at(0, task), x_);
    }

    void copy_row(const T* from, T* to) const {
        const Index count = problem_.network.input_size;
        std::copy(from, from + count, to);
        std::fill(to + count, to + width_, T(0));
    }

    void gather(const T* table, T* to) const {
        for (std::size_t slot = 0; slot < occurring_.size(); ++slot)
            copy_row(table + occurring_[slot] * problem_.network.input_size, to + Index(slot) * width_);
    }

    void scatter(const T* from, T* table) const {
        const Index count = problem_.network.input_size;
        std::fill(table, table + problem_.network.vocabulary * count, T(0));
        for (std::size_t slot = 0; slot < occurring_.size(); ++slot)
            std::copy_n(from + Index(slot) * width_, count, table + occurring_[slot] * count);
    }

    template <class Pointer, class Source>
    LayerTensors<T, Pointer> of_layer(Source from, Index layer, Index task) const {
        const Index first = tokens_ + 4 * layer;
        return {from.at(first, task), from.at(first + 1, task), from.at(first + 2, task), from.at(first + 3, task)};
    }

    template <class Pointer, class Source>
    HeadTensors<T, Pointer> of_head(Source from, Index task) const {
        const Index first = tokens_ + 4 * problem_.network.layers;
        return {from.at(first, task), from.at(first + 1, task)};
    }

    // Parameters that all tasks share are packed for the first of them.
    void pack(Index task, Tensors<const T> params) {
        if (packed_ && shared(params)) return;
        for (Index layer = 0; layer < count(); ++layer) layers_[layer].pack(of_layer<const T*>(params, layer, task));
        head_.pack(of_head<const T*>(params, task));
        packed_ = true;
    }

    bool shared(Tensors<const T> params) const {
        for (Index tensor = tokens_; tensor < problem_.parameters(); ++tensor)
            if (params.strides[tensor]) return false;
        return true;
    }

    void forward(Index task) {
        for (Index layer = 0; layer < count(); ++layer) layers_[layer].forward(input_of(layer));
        head_.forward(task, layers_.back().activations().h);
    }

    void adjoint(Index task, Tensors<T> gradients) {
        head_.adjoint(task, of_head<T*>(gradients, task), layers_.back().activations().dh);
        T* table = tokens_ ? gradients.at(0, task) : nullptr;
        for (Index layer = count(); layer-- > 0;) {
            T* dx = layer ? layers_[layer - 1].activations().dh : table ? dx_ : nullptr;
            layers_[layer].adjoint(input_of(layer), of_layer<T*>(gradients, layer, task), dx);
        }
        if (table) scatter(dx_, table);
    }

    void pack_direction(Index task, Tensors<const T> direction) {
        for (Index layer = 0; layer < count(); ++layer)
            layers_[layer].pack_direction(of_layer<const T*>(direction, layer, task));
        head_.pack_direction(of_head<const T*>(direction, task));
        const T* table = tokens_ ? direction.at(0, task) : nullptr;
        moves_embedding_ = table;
        if (table) gather(table, x1_);
    }

    void tangent() {
        for (Index layer = 0; layer < count(); ++layer) {
            layers_[layer].restore();
            layers_[layer].tangent(input_of(layer), input_tangent(layer));
        }
    }

    void adjoint_tangent(Index task) {
        const Layer<T, Cell>& top = layers_.back();
        head_.product(task, top.activations().h, top.tangents().h, of_head<T*>(results_, task), top.tangents().dh);
        T* table = tokens_ ? results_.at(0, task) : nullptr;
        for (Index layer = count(); layer-- > 0;) {
            T* dx1 = layer ? layers_[layer - 1].tangents().dh : table ? dx_ : nullptr;
            layers_[layer].adjoint_tangent(input_of(layer), input_tangent(layer),
                                           of_layer<T*>(results_, layer, task), dx1);
        }
        if (table) scatter(dx_, table);
    }

    Input<T> input_of(Index layer) const {
        if (layer == 0) return input_;
        const Index hidden = problem_.network.hidden;
        return {layers_[layer - 1].activations().h, problem_.episode.packed, hidden, padded<T>(hidden), nullptr};
    }

    const T* input_tangent(Index layer) const {
        if (layer) return layers_[layer - 1].tangents().h;
        return moves_embedding_ ? x1_ : nullptr;
    }

    Index count() const { return problem_.network.layers; }

    const Problem& problem_;
    Work work_;
    std::vector<Layer<T, Cell>> layers_;
    std::vector<std::int64_t> strides_;
    Head<T> head_;
    Tensors<T> results_{};
    Input<T> input_{};
    bool tokens_ = false, wants_embedding_ = false, wants_any_ = false, moves_embedding_ = false, packed_ = false;
    Index width_ = 0;
    void* scratch_ = nullptr;
    T *x_ = nullptr, *dx_ = nullptr, *x1_ = nullptr;
    std::vector<Index> slots_, occurring_, index_;  // of the table's rows in x; the table's rows in x; of packed rows
};

}  // namespace accelerator
