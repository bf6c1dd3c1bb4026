// How long the passes take, for profiles: two looks at the clock a task and pass, about 50 ns.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace accelerator {

enum Pass { kForward, kAdjoint, kTangent, kCurvature, kPasses };

// Nanoseconds of all threads by pass, since they were last taken.
inline std::array<std::atomic<std::int64_t>, kPasses>& pass_nanoseconds() {
    static std::array<std::atomic<std::int64_t>, kPasses> nanoseconds{};
    return nanoseconds;
}

// Counts the time from one call to the next.
class Clock {
  public:
    void ended(Pass pass) {
        const auto now = std::chrono::steady_clock::now();
        pass_nanoseconds()[pass] += std::chrono::duration_cast<std::chrono::nanoseconds>(now - since_).count();
        since_ = now;
    }

  private:
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace accelerator
