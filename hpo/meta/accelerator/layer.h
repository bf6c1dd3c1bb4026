// One recurrent layer and one task: the scans over time and the products over all rows.
#pragma once

#include "arena.h"
#include "cells.h"
#include "gemm.h"
#include "problem.h"

namespace accelerator {

// What a layer reads: x (rows, width), its rows ``stride`` apart and padded with zeros. With ``index`` a packed row r
// reads row index[r] (tokens), otherwise row r.
template <class T>
struct Input {
    const T* x;
    Index rows, width, stride;
    const Index* index;
};

// Four tensors of a layer, contiguous; a missing one is nullptr.
template <class T, class Pointer = const T*>
struct LayerTensors {
    Pointer w_ih, w_hh, b_ih, b_hh;
};

// The gradient of a weight (gates * hidden, width), summed over blocks of rows: the sum over rows of da^T x.
template <class T>
class WeightGradient {
  public:
    // room: (gates * hidden, padded(width)), used where the result's rows are no whole vectors.
    WeightGradient(T* result, T* room, Index gates, Index hidden, Index width)
        : result_(result), gates_(gates), hidden_(hidden), width_(width), stride_(padded<T>(width)) {
        sum_ = stride_ == width ? result : room;
    }

    // da (rows, ...), of which gate k has the columns from ``columns[k]`` on, and x (rows, padded(width)).
    void add(const T* da, Index da_stride, const Index* columns, const T* x, Index x_stride, Index rows) {
        if (!result_ || rows == 0) return;
        for (Index gate = 0; gate < gates_; ++gate)
            multiply_transposed<T>(hidden_, stride_, rows, da + columns[gate], da_stride, x, x_stride,
                                   sum_ + gate * hidden_ * stride_, stride_, begun_);
        begun_ = true;
    }

    void finish() {
        if (!result_) return;
        const Index rows = gates_ * hidden_;
        if (!begun_)
            std::fill(result_, result_ + rows * width_, T(0));
        else if (sum_ != result_)
            for (Index row = 0; row < rows; ++row)
                std::copy(sum_ + row * stride_, sum_ + row * stride_ + width_, result_ + row * width_);
    }

  private:
    T *result_, *sum_;
    Index gates_, hidden_, width_, stride_;
    bool begun_ = false;
};

template <class T>
INLINE void add_row(T* to, const T* from, Index count) {
    for (Index i = 0; i < count; i += lanes<T>) store<T>(to + i, load(to + i) + load(from + i));
}

template <class T, class Cell>
class Layer {
  public:
    // Which buffers are needed: for a gradient only, or for a product with the Hessian as well.
    struct Needs {
        bool input_adjoint;  // of the layer's input
        bool tangents;
        bool separate;       // da must not take the gates' place
    };

    // kept: what a trace holds; may be the same as scratch.
    void lay_out(const Problem& problem, Index width, bool tokens, Needs needs, Arena& scratch, Arena& kept) {
        problem_ = &problem;
        needs_ = needs;
        tokens_ = tokens;
        hidden_ = problem.network.hidden;
        width_ = width;
        units_ = padded<T>(hidden_);
        columns_ = Cell::gates * units_;
        for (Index gate = 0; gate < Cell::gates; ++gate) {
            input_at_[gate] = Cell::input_column(gate) * units_;
            hidden_at_[gate] = (Cell::hidden + gate) * units_;
        }
        s_.units = units_;
        row_ = Cell::width * units_;
        s_.stride = row_;
        const Index rows = problem.episode.packed, before = problem.episode.sizes[0];
        s_.gates = (Cell::keeps_gates ? kept : scratch).template take<T>(rows * s_.stride);
        s_.h = (Cell::has_c ? scratch : kept).template take_rows<T>(before, rows, units_);
        s_.c = Cell::has_c ? kept.take_rows<T>(before, rows, units_) : nullptr;
        s_.tanh_c = Cell::has_c ? scratch.take<T>(rows * units_) : nullptr;
        s_.dh = kept.take_rows<T>(before, rows, units_);
        s_.dc = Cell::has_c ? kept.take_rows<T>(before, rows, units_) : nullptr;
        s_.da = needs.separate && Cell::keeps_gates ? scratch.take<T>(rows * s_.stride) : s_.gates;
        lay_out_weights(weights_, scratch);
        bias_sum_ = scratch.take<T>(row_);
        room_ih_ = scratch.take<T>(Cell::gates * hidden_ * padded<T>(width));
        room_hh_ = scratch.take<T>(Cell::gates * hidden_ * units_);
        const Index most = tokens ? std::min<Index>(rows, problem.network.vocabulary) : 0;
        table_ = scratch.take<T>(most * columns_);
        if (!needs.tangents) return;
        lay_out_weights(direction_, scratch);
        d_.a = scratch.take<T>(rows * s_.stride);
        d_.h = scratch.take_rows<T>(before, rows, units_);
        d_.c = Cell::has_c ? scratch.take_rows<T>(before, rows, units_) : nullptr;
        d_.dh = scratch.take_rows<T>(before, rows, units_);
        d_.dc = Cell::has_c ? scratch.take_rows<T>(before, rows, units_) : nullptr;
        table_tangent_ = scratch.take<T>(most * columns_);
    }

    const Activations<T>& activations() const { return s_; }
    const Tangents<T>& tangents() const { return d_; }

    void pack(LayerTensors<T> params) { pack_weights(params, weights_); }
    void pack_direction(LayerTensors<T> direction) { pack_weights(direction, direction_); }

    // Everything of s but dh, dc and da.
    void forward(const Input<T>& input) {
        clear_before(s_.h);
        if (Cell::has_c) clear_before(s_.c);
        if (tokens_) project_table(input.x, input, weights_, false);
        for (Index t = 0; t < steps(); ++t) {
            const Step now = step(t);
            project(input, now);
            if (t > 0)
                multiply_rows<T>(now.rows, columns_, hidden_, s_.h + now.previous * units_, units_,
                            weights_.hidden_t.data,
                            s_.gates + now.first * s_.stride + Cell::hidden * units_, s_.stride, true);
            Cell::forward(s_, now);
        }
    }

    // From dh, the adjoint of the output, to the gradients and to dx (rows, stride) like the input, if not nullptr.
    void adjoint(const Input<T>& input, LayerTensors<T, T*> gradients, T* dx) {
        WeightGradient<T> w_ih(gradients.w_ih, room_ih_, Cell::gates, hidden_, width_);
        WeightGradient<T> w_hh(gradients.w_hh, room_hh_, Cell::gates, hidden_, hidden_);
        const bool input_side = gradients.w_ih || dx;
        if (Cell::has_c) std::fill(s_.dc, s_.dc + rows() * units_, T(0));
        std::fill(bias_sum_, bias_sum_ + row_, T(0));
        if (tokens_) std::fill(table_, table_ + input.rows * columns_, T(0));
        Index end = rows();
        for (Index t = steps(); t-- > 0;) {
            const Step now = step(t);
            Cell::adjoint(s_, now);
            if (t > 0) step_back(s_.da, now, s_.dh);
            if (t > 0 && end - now.first < kBlock) continue;
            // While da of these rows is in the cache:
            for_segments(now.first, end, [&](Index begin, Index stop, Index shift) {
                add(w_hh, s_.da, hidden_at_, s_.h - shift * units_, units_, begin, stop);
            });
            if (gradients.b_ih || gradients.b_hh) sum_rows(s_.da, now.first, end);
            if (tokens_ && input_side)
                sum_tokens(s_.da, input, table_, now.first, end);
            else if (input_side)
                add(w_ih, s_.da, input_at_, input.x, input.stride, now.first, end);
            if (dx && !tokens_) into_input(s_.da, s_.stride, weights_.input, now.first, end, input.stride, dx, false);
            end = now.first;
        }
        if (tokens_ && input_side) {
            w_ih.add(table_, columns_, input_at_, input.x, input.stride, input.rows);
            if (dx) into_input(table_, columns_, weights_.input, 0, input.rows, input.stride, dx, false);
        }
        w_ih.finish();
        w_hh.finish();
        write_biases(gradients);
    }

    // What a trace leaves out.
    void restore() {
        if (Cell::has_c) clear_before(s_.h);
        for (Index t = 0; t < steps(); ++t) Cell::restore(s_, step(t));
    }

    // Tangents of the states; x1: tangent of the input, like it, or nullptr for zero.
    void tangent(const Input<T>& input, const T* x1) {
        clear_before(d_.h);
        if (Cell::has_c) clear_before(d_.c);
        project_tangent(input, x1);
        if (direction_.has_hh)
            for (const Segment& segment : problem_->segments)
                multiply_rows<T>(segment.end - segment.begin, columns_, hidden_,
                            s_.h + (segment.begin - segment.shift) * units_, units_,
                            direction_.hidden_t.data,
                            d_.a + segment.begin * s_.stride + Cell::hidden * units_, s_.stride, true);
        for (Index t = 0; t < steps(); ++t) {
            const Step now = step(t);
            if (t > 0)
                multiply_rows<T>(now.rows, columns_, hidden_, d_.h + now.previous * units_, units_,
                            weights_.hidden_t.data,
                            d_.a + now.first * s_.stride + Cell::hidden * units_, s_.stride, true);
            Cell::tangent(s_, d_, now);
        }
    }

    // From the tangent of dh to the tangents of the gradients, which are the products, and to the tangent of dx.
    void adjoint_tangent(const Input<T>& input, const T* x1, LayerTensors<T, T*> products, T* dx1) {
        WeightGradient<T> w_ih(products.w_ih, room_ih_, Cell::gates, hidden_, width_);
        WeightGradient<T> w_hh(products.w_hh, room_hh_, Cell::gates, hidden_, hidden_);
        const bool input_side = products.w_ih || dx1;
        if (Cell::has_c) std::fill(d_.dc, d_.dc + rows() * units_, T(0));
        std::fill(bias_sum_, bias_sum_ + row_, T(0));
        if (tokens_) std::fill(table_, table_ + input.rows * columns_, T(0));
        if (tokens_) std::fill(table_tangent_, table_tangent_ + input.rows * columns_, T(0));
        if (direction_.has_hh)
            for (const Segment& segment : problem_->segments)
                into_state(s_.da, direction_.hidden, segment.begin, segment.end, segment.shift, d_.dh);
        const bool source = x1 || direction_.has_ih;  // whether da is needed on the side of the input
        Index end = rows();
        for (Index t = steps(); t-- > 0;) {
            const Step now = step(t);
            Cell::adjoint_tangent(s_, d_, now);
            if (t > 0) step_back(d_.a, now, d_.dh);
            if (t > 0 && end - now.first < kBlock) continue;
            for_segments(now.first, end, [&](Index begin, Index stop, Index shift) {
                add(w_hh, d_.a, hidden_at_, s_.h - shift * units_, units_, begin, stop);
                add(w_hh, s_.da, hidden_at_, d_.h - shift * units_, units_, begin, stop);
            });
            if (products.b_ih || products.b_hh) sum_rows(d_.a, now.first, end);
            if (tokens_ && input_side) {
                sum_tokens(d_.a, input, table_tangent_, now.first, end);
                if (source) sum_tokens(s_.da, input, table_, now.first, end);
            } else if (input_side) {
                add(w_ih, d_.a, input_at_, input.x, input.stride, now.first, end);
                if (x1) add(w_ih, s_.da, input_at_, x1, input.stride, now.first, end);
            }
            if (dx1 && !tokens_) {
                into_input(d_.a, s_.stride, weights_.input, now.first, end, input.stride, dx1, false);
                if (direction_.has_ih)
                    into_input(s_.da, s_.stride, direction_.input, now.first, end, input.stride, dx1, true);
            }
            end = now.first;
        }
        if (tokens_ && input_side) {
            w_ih.add(table_tangent_, columns_, input_at_, input.x, input.stride, input.rows);
            if (x1) w_ih.add(table_, columns_, input_at_, x1, input.stride, input.rows);
            if (dx1) into_input(table_tangent_, columns_, weights_.input, 0, input.rows, input.stride, dx1, false);
            if (dx1 && direction_.has_ih)
                into_input(table_, columns_, direction_.input, 0, input.rows, input.stride, dx1, true);
        }
        w_ih.finish();
        w_hh.finish();
        write_biases(products);
    }

  private:
    static constexpr Index kBlock = 128;  // rows after which da goes into the weights' gradients

    // Matrices in panels, for x W_ih^T, h W_hh^T, da W_hh and da W_ih; bias: one row of gates.
    struct Weights {
        Panels<T> input_t, hidden_t, hidden, input;
        T* bias;
        bool has_ih, has_hh;
    };

    void lay_out_weights(Weights& w, Arena& scratch) {
        const auto take = [&](Index depth, Index columns) {
            return Panels<T>{scratch.take<T>(depth * columns), depth, columns};
        };
        w.input_t = take(width_, columns_);
        w.hidden_t = take(hidden_, columns_);
        w.hidden = take(columns_, units_);
        w.input = needs_.input_adjoint ? take(columns_, padded<T>(width_)) : Panels<T>{};
        w.bias = scratch.take<T>(row_);
    }

    void pack_weights(LayerTensors<T> from, Weights& w) {
        w.has_ih = from.w_ih;
        w.has_hh = from.w_hh;
        std::fill(w.bias, w.bias + row_, T(0));
        for (Index gate = 0; gate < Cell::gates; ++gate) {
            const Index in = input_at_[gate], own = gate * units_;
            if (from.w_ih) {
                const T* weight = from.w_ih + gate * hidden_ * width_;
                pack_transposed(weight, hidden_, w.input_t, in);
                if (w.input.data) pack_plain(weight, hidden_, width_, w.input, in);
            }
            if (from.w_hh) {
                const T* weight = from.w_hh + gate * hidden_ * hidden_;
                pack_transposed(weight, hidden_, w.hidden_t, own);
                pack_plain(weight, hidden_, hidden_, w.hidden, own);
            }
            for (Index unit = 0; unit < hidden_; ++unit) {
                if (from.b_ih) w.bias[in + unit] += from.b_ih[gate * hidden_ + unit];
                if (from.b_hh) w.bias[hidden_at_[gate] + unit] += from.b_hh[gate * hidden_ + unit];
            }
        }
    }

    Index rows() const { return problem_->episode.packed; }
    Index steps() const { return problem_->episode.steps; }

    Step step(Index t) const {
        const Index first = problem_->starts[t];
        return {problem_->episode.sizes[t], first, t > 0 ? problem_->starts[t - 1] : -problem_->episode.sizes[0]};
    }

    void clear_before(T* states) const { std::fill(states - problem_->episode.sizes[0] * units_, states, T(0)); }

    // Calls visit(begin, end, shift) for the parts of segments within these rows.
    template <class Visit>
    void for_segments(Index first, Index end, Visit visit) const {
        for (const Segment& segment : problem_->segments) {
            const Index begin = std::max(first, segment.begin), stop = std::min(end, segment.end);
            if (begin < stop) visit(begin, stop, segment.shift);
        }
    }

    void fill_bias(Step now, const T* bias, T* gates) const {
        for (Index row = now.first; row < now.first + now.rows; ++row)
            std::copy(bias, bias + row_, gates + row * s_.stride);
    }

    // gates[row] += table[index[row]], the table's rows as wide as the columns of W_ih x.
    void look_up(const Input<T>& input, Step now, T* gates) const {
        for (Index row = now.first; row < now.first + now.rows; ++row)
            add_row(gates + row * s_.stride, table_ + input.index[row] * columns_, columns_);
    }

    // table (tokens that occur, columns) = or += x W_ih^T.
    void project_table(const T* x, const Input<T>& input, const Weights& w, bool accumulate) {
        multiply_rows<T>(input.rows, columns_, width_, x, input.stride, w.input_t.data, table_, columns_, accumulate);
    }

    // gates = W_ih x + b_ih + b_hh of one step.
    void project(const Input<T>& input, Step now) {
        fill_bias(now, weights_.bias, s_.gates);
        if (tokens_) return look_up(input, now, s_.gates);
        multiply_rows<T>(now.rows, columns_, width_, input.x + now.first * input.stride, input.stride,
                         weights_.input_t.data, s_.gates + now.first * s_.stride, s_.stride, true);
    }

    // a = x W'_ih^T + x' W_ih^T + b' of all rows.
    void project_tangent(const Input<T>& input, const T* x1) {
        const Step all{rows(), 0, 0};
        fill_bias(all, direction_.bias, d_.a);
        if (tokens_) {
            if (direction_.has_ih) project_table(input.x, input, direction_, false);
            if (x1) project_table(x1, input, weights_, direction_.has_ih);
            if (direction_.has_ih || x1) look_up(input, all, d_.a);
            return;
        }
        if (direction_.has_ih)
            multiply_rows<T>(rows(), columns_, width_, input.x, input.stride, direction_.input_t.data, d_.a, s_.stride,
                             true);
        if (x1)
            multiply_rows<T>(rows(), columns_, width_, x1, input.stride, weights_.input_t.data, d_.a, s_.stride, true);
    }

    // dh[row - shift] += da[row] W_hh.
    void into_state(const T* da, Panels<T> weight, Index begin, Index end, Index shift, T* dh) const {
        multiply_rows<T>(end - begin, units_, columns_, da + begin * s_.stride + Cell::hidden * units_, s_.stride,
                    weight.data, dh + (begin - shift) * units_, units_, true);
    }

    // The same for one step of the recurrence.
    void step_back(const T* da, Step now, T* dh) const {
        into_state(da, weights_.hidden, now.first, now.first + now.rows, now.first - now.previous, dh);
    }

    // dx[row] (+)= da[row] W_ih.
    void into_input(const T* da, Index da_stride, Panels<T> weight, Index begin, Index end, Index stride, T* dx,
                    bool accumulate) const {
        multiply_rows<T>(end - begin, stride, columns_, da + begin * da_stride, da_stride,
                    weight.data, dx + begin * stride, stride, accumulate);
    }

    void add(WeightGradient<T>& gradient, const T* da, const Index* columns, const T* x, Index x_stride, Index begin,
             Index end) const {
        gradient.add(da + begin * s_.stride, s_.stride, columns, x + begin * x_stride, x_stride, end - begin);
    }

    void sum_rows(const T* da, Index begin, Index end) {
        for (Index row = begin; row < end; ++row) add_row(bias_sum_, da + row * s_.stride, row_);
    }

    void sum_tokens(const T* da, const Input<T>& input, T* table, Index begin, Index end) const {
        for (Index row = begin; row < end; ++row)
            add_row(table + input.index[row] * columns_, da + row * s_.stride, columns_);
    }

    void write_biases(LayerTensors<T, T*> to) const {
        for (Index gate = 0; gate < Cell::gates; ++gate) {
            const T *in = bias_sum_ + input_at_[gate], *own = bias_sum_ + hidden_at_[gate];
            if (to.b_ih) std::copy(in, in + hidden_, to.b_ih + gate * hidden_);
            if (to.b_hh) std::copy(own, own + hidden_, to.b_hh + gate * hidden_);
        }
    }

    const Problem* problem_ = nullptr;
    Needs needs_{};
    bool tokens_ = false;
    Index hidden_ = 0, width_ = 0, units_ = 0;
    Index row_ = 0, columns_ = 0;  // of the gates; of W_ih x and of W_hh h
    Index input_at_[Cell::gates], hidden_at_[Cell::gates];    // where a gate's columns start in a row of gates
    Activations<T> s_{};
    Tangents<T> d_{};
    Weights weights_{}, direction_{};
    T *bias_sum_ = nullptr, *room_ih_ = nullptr, *room_hh_ = nullptr;
    T *table_ = nullptr, *table_tangent_ = nullptr;  // (tokens that occur, columns)
};

}  // namespace accelerator
