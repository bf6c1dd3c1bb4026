// The C interface: gradient and hessian_product of every task, for float and double.
//
// All functions return a Code (problem.h). Results depend neither on the number of threads nor on which tasks are given
// together: every task is computed by itself.
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>

#include "gru.h"
#include "lstm.h"
#include "rnn.h"
#include "task.h"

namespace accelerator {

// Calls work(next) on up to ``threads`` threads, where next() gives each of the tasks to one of them.
template <class Work>
Code share_out(Index tasks, int threads, Work work) {
    std::atomic<Index> next{0};
    std::atomic<int> failed{kDone};
    const auto run = [&]() noexcept {
        try {
            work([&]() {
                const Index task = next.fetch_add(1);
                return task < tasks ? task : Index(-1);
            });
        } catch (const std::exception&) {  // only allocations throw
            failed = kNoMemory;
        }
    };
    std::vector<std::thread> others;
    try {
        for (Index count = std::min<Index>(threads, tasks); count > 1; --count) others.emplace_back(run);
    } catch (const std::exception&) {
        // The threads that have started do the work.
    }
    run();
    for (std::thread& other : others) other.join();
    return static_cast<Code>(failed.load());
}

// Calls function(cell) with a value of the cell's type.
template <class T, class Function>
auto with_cell(int cell, Function function) {
    switch (cell) {
        case 0: return function(Rnn<T, true>());
        case 1: return function(Rnn<T, false>());
        case 2: return function(Gru<T>());
        default: return function(Lstm<T>());
    }
}

template <class T>
std::int64_t trace_bytes(const Network* network, const Episode* episode) {
    if (check(network, episode, true) != kDone) return -1;
    try {
        const Problem problem(*network, *episode);
        return with_cell<T>(network->cell, [&](auto cell) -> std::int64_t {
            using Run = Task<T, decltype(cell)>;
            return Run(problem, Run::Work::kTracedGradient, nullptr).trace_bytes();
        });
    } catch (const std::exception&) {
        return -1;
    }
}

template <class T>
Code gradient(const Network* network, const Episode* episode, const void* const* params, const std::int64_t* strides,
              T* predictions, void* const* gradients, char* trace, int threads) {
    if (const Code code = check(network, episode, false)) return code;
    if (!params || !strides) return kBadArgument;
    const Problem problem(*network, *episode);
    const std::int64_t each = trace ? trace_bytes<T>(network, episode) : 0;
    if (trace) prefer_huge_pages(trace, static_cast<std::size_t>(each * episode->tasks));
    const Index outputs = episode->examples * network->outputs;
    const Tensors<const T> tensors{reinterpret_cast<const T* const*>(params), strides};
    return with_cell<T>(network->cell, [&](auto cell) {
        using Run = Task<T, decltype(cell)>;
        return share_out(episode->tasks, threads, [&](auto next) {
            Run run(problem, trace ? Run::Work::kTracedGradient : Run::Work::kGradient, gradients);
            run.reserve();
            for (Index task = next(); task >= 0; task = next())
                run.gradient(task, tensors, trace ? trace + task * each : nullptr,
                             predictions ? predictions + task * outputs : nullptr);
        });
    });
}

template <class T>
Code hessian_product(const Network* network, const Episode* episode, const void* const* params,
                     const std::int64_t* strides, char* trace, const void* const* direction,
                     const std::int64_t* direction_strides, void* const* products, int threads) {
    if (const Code code = check(network, episode, false)) return code;
    if (!params || !strides || !direction || !direction_strides || !products) return kBadArgument;
    const Problem problem(*network, *episode);
    const std::int64_t each = trace ? trace_bytes<T>(network, episode) : 0;
    const Tensors<const T> tensors{reinterpret_cast<const T* const*>(params), strides};
    const Tensors<const T> directions{reinterpret_cast<const T* const*>(direction), direction_strides};
    return with_cell<T>(network->cell, [&](auto cell) {
        using Run = Task<T, decltype(cell)>;
        return share_out(episode->tasks, threads, [&](auto next) {
            Run run(problem, Run::Work::kProduct, products);
            run.reserve();
            for (Index task = next(); task >= 0; task = next())
                run.product(task, tensors, directions, trace ? trace + task * each : nullptr);
        });
    });
}

template <class Function>
int guarded(Function function) {
    try {
        return function();
    } catch (const std::exception&) {
        return kNoMemory;
    }
}

}  // namespace accelerator

#define EXPORT extern "C" __attribute__((visibility("default")))

#define ENTRY_POINTS(SUFFIX, T)                                                                                        \
    EXPORT std::int64_t accelerator_trace_bytes_##SUFFIX(const Network* network, const Episode* episode) {             \
        return accelerator::trace_bytes<T>(network, episode);                                                          \
    }                                                                                                                  \
    EXPORT int accelerator_gradient_##SUFFIX(const Network* network, const Episode* episode,                           \
                                                 const void* const* params, const std::int64_t* strides,               \
                                                 void* predictions, void* const* gradients, void* trace,               \
                                                 int threads) {                                                        \
        return accelerator::guarded([&] {                                                                              \
            return accelerator::gradient<T>(network, episode, params, strides, static_cast<T*>(predictions),           \
                                            gradients, static_cast<char*>(trace), threads);                            \
        });                                                                                                            \
    }                                                                                                                  \
    EXPORT int accelerator_hessian_product_##SUFFIX(                                                                   \
        const Network* network, const Episode* episode, const void* const* params, const std::int64_t* strides,        \
        void* trace, const void* const* direction, const std::int64_t* direction_strides, void* const* products,       \
        int threads) {                                                                                                 \
        return accelerator::guarded([&] {                                                                              \
            return accelerator::hessian_product<T>(network, episode, params, strides, static_cast<char*>(trace),       \
                                                   direction, direction_strides, products, threads);                   \
        });                                                                                                            \
    }

// Seconds of all threads in each Pass since the last call, (kPasses,).
EXPORT void accelerator_take_seconds(double* seconds) {
    for (int pass = 0; pass < accelerator::kPasses; ++pass)
        seconds[pass] = 1e-9 * static_cast<double>(accelerator::pass_nanoseconds()[pass].exchange(0));
}

ENTRY_POINTS(f32, float)
ENTRY_POINTS(f64, double)
