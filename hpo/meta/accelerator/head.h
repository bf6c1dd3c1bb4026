// What follows the last layer: what is read of its outputs, the linear head and the loss.
#pragma once

#include "arena.h"
#include "gemm.h"
#include "layer.h"
#include "problem.h"

namespace accelerator {

// weight (outputs, hidden) and bias (outputs,); a missing one is nullptr.
template <class T, class Pointer = const T*>
struct HeadTensors {
    Pointer weight, bias;
};

template <class T>
class Head {
  public:
    void lay_out(const Problem& problem, bool tangents, Arena& scratch, Arena& kept) {
        problem_ = &problem;
        hidden_ = problem.network.hidden;
        outputs_ = problem.network.outputs;
        units_ = padded<T>(hidden_);
        width_ = padded<T>(outputs_);
        examples_ = problem.episode.examples;
        probabilities_ = kept.take<T>(examples_ * width_);
        slopes_ = kept.take<T>(examples_ * width_);
        read_ = scratch.take<T>(examples_ * units_);
        slope_read_ = scratch.take<T>(examples_ * units_);
        predictions_ = scratch.take<T>(examples_ * width_);
        room_ = scratch.take<T>(outputs_ * units_);
        lay_out_weights(weights_, scratch);
        if (!tangents) return;
        lay_out_weights(direction_, scratch);
        read_tangent_ = scratch.take<T>(examples_ * units_);
        slopes_tangent_ = scratch.take<T>(examples_ * width_);
    }

    void pack(HeadTensors<T> params) { pack_weights(params, weights_); }
    void pack_direction(HeadTensors<T> direction) { pack_weights(direction, direction_); }

    // Predictions from outputs h (packed, units), and the gradient of the loss with respect to them.
    void forward(Index task, const T* h) {
        read(task, h, read_);
        predict(read_, weights_, weights_.bias);
        if (problem_->network.loss == 0) cross_entropy(task);
        else squared_error(task);
    }

    void write_predictions(T* to) const {
        for (Index e = 0; e < examples_; ++e)
            std::copy(predictions_ + e * width_, predictions_ + e * width_ + outputs_, to + e * outputs_);
    }

    // Gradients and dh (packed, units).
    void adjoint(Index task, HeadTensors<T, T*> gradients, T* dh) {
        WeightGradient<T> weight(gradients.weight, room_, 1, outputs_, hidden_);
        weight.add(slopes_, width_, &kFirst, read_, units_, examples_);
        weight.finish();
        sum_rows(slopes_, gradients.bias);
        multiply_rows<T>(examples_, units_, width_, slopes_, width_, weights_.plain.data,
                    slope_read_, units_, false);
        spread(task, slope_read_, dh);
    }

    // Like forward and adjoint, for the tangents; h and h1 (packed, units).
    void product(Index task, const T* h, const T* h1, HeadTensors<T, T*> products, T* dh1) {
        read(task, h, read_);
        read(task, h1, read_tangent_);
        predict(read_tangent_, weights_, direction_.bias);
        if (direction_.has_weight)
            multiply_rows<T>(examples_, width_, hidden_, read_, units_,
                        direction_.transposed.data, predictions_, width_, true);
        differentiate_slopes();
        WeightGradient<T> weight(products.weight, room_, 1, outputs_, hidden_);
        weight.add(slopes_tangent_, width_, &kFirst, read_, units_, examples_);
        weight.add(slopes_, width_, &kFirst, read_tangent_, units_, examples_);
        weight.finish();
        sum_rows(slopes_tangent_, products.bias);
        multiply_rows<T>(examples_, units_, width_, slopes_tangent_, width_,
                    weights_.plain.data, slope_read_, units_, false);
        if (direction_.has_weight)
            multiply_rows<T>(examples_, units_, width_, slopes_, width_,
                        direction_.plain.data, slope_read_, units_, true);
        spread(task, slope_read_, dh1);
    }

  private:
    static constexpr Index kFirst = 0;

    struct Weights {
        Panels<T> transposed, plain;
        T* bias;
        bool has_weight;
    };

    void lay_out_weights(Weights& w, Arena& scratch) {
        w.transposed = {scratch.take<T>(hidden_ * width_), hidden_, width_};
        w.plain = {scratch.take<T>(width_ * units_), width_, units_};
        w.bias = scratch.take<T>(width_);
    }

    void pack_weights(HeadTensors<T> from, Weights& w) {
        w.has_weight = from.weight;
        std::fill(w.bias, w.bias + width_, T(0));
        if (from.bias) std::copy(from.bias, from.bias + outputs_, w.bias);
        if (!from.weight) return;
        pack_transposed(from.weight, outputs_, w.transposed, 0);
        pack_plain(from.weight, outputs_, hidden_, w.plain, 0);
    }

    // What the head reads (examples, units) of the outputs.
    void read(Index task, const T* h, T* to) const {
        const Episode& episode = problem_->episode;
        if (problem_->network.readout == 0) {
            const std::int64_t* last = episode.last + task * examples_;
            for (Index e = 0; e < examples_; ++e) {
                const T* row = h + last[e] * units_;
                std::copy(row, row + units_, to + e * units_);
            }
            return;
        }
        std::fill(to, to + examples_ * units_, T(0));
        for (Index row = 0; row < episode.packed; ++row) {
            const Index at = task * episode.packed + row;
            add_scaled(to + episode.example[at] * units_, h + row * units_, T(episode.share[at]));
        }
    }

    // The transpose of read.
    void spread(Index task, const T* slope, T* dh) const {
        const Episode& episode = problem_->episode;
        std::fill(dh, dh + episode.packed * units_, T(0));
        const std::int64_t* last = episode.last + task * examples_;
        if (problem_->network.readout == 0) {
            for (Index e = 0; e < examples_; ++e) add_row(dh + last[e] * units_, slope + e * units_, units_);
            return;
        }
        for (Index row = 0; row < episode.packed; ++row) {
            const Index at = task * episode.packed + row;
            add_scaled(dh + row * units_, slope + episode.example[at] * units_, T(episode.share[at]));
        }
    }

    void add_scaled(T* to, const T* from, T factor) const {
        for (Index unit = 0; unit < units_; unit += lanes<T>)
            store<T>(to + unit, load(to + unit) + factor * load(from + unit));
    }

    // predictions = read W^T + bias.
    void predict(const T* read, const Weights& w, const T* bias) const {
        for (Index e = 0; e < examples_; ++e) std::copy(bias, bias + width_, predictions_ + e * width_);
        multiply_rows<T>(examples_, width_, hidden_, read, units_, w.transposed.data,
                    predictions_, width_, true);
    }

    void cross_entropy(Index task) {
        const std::int64_t* targets = static_cast<const std::int64_t*>(problem_->episode.targets) + task * examples_;
        const T weight = T(1) / T(examples_);
        for (Index e = 0; e < examples_; ++e) {
            const T* z = predictions_ + e * width_;
            T *p = probabilities_ + e * width_, *slope = slopes_ + e * width_;
            std::fill(p, p + width_, T(0));
            std::fill(slope, slope + width_, T(0));
            const T largest = *std::max_element(z, z + outputs_);
            T sum = 0;
            for (Index k = 0; k < outputs_; ++k) sum += p[k] = std::exp(z[k] - largest);
            for (Index k = 0; k < outputs_; ++k) p[k] /= sum;
            for (Index k = 0; k < outputs_; ++k) slope[k] = weight * (p[k] - T(k == targets[e]));
        }
    }

    void squared_error(Index task) {
        const Index count = examples_ * outputs_;
        const T* targets = static_cast<const T*>(problem_->episode.targets) + task * count;
        for (Index e = 0; e < examples_; ++e) {
            std::fill(slopes_ + e * width_, slopes_ + (e + 1) * width_, T(0));
            for (Index k = 0; k < outputs_; ++k) {
                const T error = predictions_[e * width_ + k] - targets[e * outputs_ + k];
                slopes_[e * width_ + k] = 2 * error / T(count);
            }
        }
    }

    // From the tangent of the predictions to that of the loss's slopes.
    void differentiate_slopes() {
        std::fill(slopes_tangent_, slopes_tangent_ + examples_ * width_, T(0));
        for (Index e = 0; e < examples_; ++e) {
            const T *z1 = predictions_ + e * width_, *p = probabilities_ + e * width_;
            T* slope1 = slopes_tangent_ + e * width_;
            if (problem_->network.loss == 0) {
                T mean = 0;
                for (Index k = 0; k < outputs_; ++k) mean += p[k] * z1[k];
                for (Index k = 0; k < outputs_; ++k) slope1[k] = p[k] * (z1[k] - mean) / T(examples_);
            } else {
                for (Index k = 0; k < outputs_; ++k) slope1[k] = 2 * z1[k] / T(examples_ * outputs_);
            }
        }
    }

    void sum_rows(const T* slopes, T* bias) const {
        if (!bias) return;
        std::fill(bias, bias + outputs_, T(0));
        for (Index e = 0; e < examples_; ++e)
            for (Index k = 0; k < outputs_; ++k) bias[k] += slopes[e * width_ + k];
    }

    const Problem* problem_ = nullptr;
    Index hidden_ = 0, outputs_ = 0, units_ = 0, width_ = 0, examples_ = 0;
    T *probabilities_ = nullptr, *slopes_ = nullptr, *slopes_tangent_ = nullptr;        // (examples, width)
    T *read_ = nullptr, *read_tangent_ = nullptr, *slope_read_ = nullptr;               // (examples, units)
    T *predictions_ = nullptr, *room_ = nullptr;
    Weights weights_{}, direction_{};
};

}  // namespace accelerator
