// Memory that is laid out once and used for one task after another.
#pragma once

#include <cstdlib>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "vectors.h"

namespace accelerator {

// Hands out consecutive pieces of a block. Without a block it only counts what the pieces would need.
class Arena {
  public:
    explicit Arena(void* block = nullptr) : block_(static_cast<char*>(block)) {}

    template <class T>
    T* take(Index count) {
        T* piece = block_ ? reinterpret_cast<T*>(block_ + used_) : nullptr;
        used_ += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
        return piece;
    }

    // Rows of ``width`` numbers with ``before`` more rows in front, which are rows -before..-1 of the result.
    template <class T>
    T* take_rows(Index before, Index rows, Index width) {
        T* piece = take<T>((before + rows) * width);
        return piece ? piece + before * width : nullptr;
    }

    std::size_t used() const { return used_; }

  private:
    char* block_;
    std::size_t used_ = 0;
};

constexpr std::size_t kHugePage = std::size_t(1) << 21;

// Asks for huge pages where the system gives them on request: fewer page faults and look-ups of addresses.
inline void prefer_huge_pages(void* begin, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(begin) + kHugePage - 1) / kHugePage * kHugePage;
    const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(begin) + bytes) / kHugePage * kHugePage;
    if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#else
    (void)begin, (void)bytes;
#endif
}

// A block that grows and never shrinks.
class Block {
  public:
    Block() = default;
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() { std::free(data_); }

    void* reserve(std::size_t bytes) {
        if (bytes > size_) {
            std::free(data_);
            size_ = 0;
            const std::size_t align = bytes < kHugePage ? 64 : kHugePage, rounded = (bytes + align - 1) / align * align;
            data_ = std::aligned_alloc(align, rounded);
            if (!data_) throw std::bad_alloc();
            prefer_huge_pages(data_, rounded);
            size_ = rounded;
        }
        return data_;
    }

  private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace accelerator
