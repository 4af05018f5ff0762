// What all owners in this folder share: a driver handle and the context it belongs to.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "affectrt/device/device.h"

namespace affectrt::cuda {

// Move-only owner of a handle that `Release` gives back. Teardown swallows errors: after the context or the process is gone there is nobody
// to tell, and nothing left to free.
template <class Handle, Result (*Driver::*Release)(Handle)>
class Owned {
 public:
  Owned() = default;
  Owned(std::shared_ptr<const Context> context, Handle handle) : context_(std::move(context)), handle_(handle) {}
  Owned(Owned&& other) noexcept : context_(std::move(other.context_)), handle_(std::exchange(other.handle_, Handle{})) {}
  Owned& operator=(Owned&& other) noexcept {
    if (this != &other) {
      release();
      context_ = std::move(other.context_);
      handle_ = std::exchange(other.handle_, Handle{});
    }
    return *this;
  }
  ~Owned() { release(); }

  Handle get() const { return handle_; }
  const Context& context() const { return *context_; }
  const std::shared_ptr<const Context>& shared_context() const { return context_; }
  const Driver& driver() const { return context_->driver(); }

 private:
  // What follows sets the handle anew, or ends its life.
  void release() noexcept {
    if (!handle_) return;
    const capture::Pause pause;
    const ContextGuard guard(*context_, std::nothrow);
    (context_->driver().*Release)(handle_);
  }

  std::shared_ptr<const Context> context_;
  Handle handle_{};
};

template <class T>
inline constexpr bool kMoveOnly =
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && std::is_nothrow_move_constructible_v<T> &&
    std::is_nothrow_move_assignable_v<T> && std::is_nothrow_destructible_v<T>;

static_assert(kMoveOnly<Device>);
static_assert(!std::is_copy_constructible_v<ContextGuard> && std::is_nothrow_move_constructible_v<ContextGuard>);

}  // namespace affectrt::cuda
