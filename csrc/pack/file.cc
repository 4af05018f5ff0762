#include "affectrt/pack/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "affectrt/core/error.h"
#include "affectrt/core/sha256.h"

namespace affectrt {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

// openat that retries when a signal interrupts it.
int open_at(int folder, const char* name, int flags) {
  while (true) {
    const int descriptor = ::openat(folder, name, flags | O_CLOEXEC);
    if (descriptor >= 0 || errno != EINTR) return descriptor;
  }
}

}  // namespace

File::File(const std::filesystem::path& folder, const std::string& path, std::string shown) : shown_(std::move(shown)) {
  int at = open_at(AT_FDCWD, folder.c_str(), O_RDONLY | O_DIRECTORY);
  int error = at < 0 ? errno : 0;
  std::size_t begin = 0;
  while (at >= 0) {
    const std::size_t slash = path.find('/', begin);
    const bool last = slash == std::string::npos;
    const std::string part = path.substr(begin, last ? slash : slash - begin);
    // O_NONBLOCK: a named pipe must not keep us waiting; it is refused below.
    const int next = open_at(at, part.c_str(), O_RDONLY | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY));
    error = next < 0 ? errno : 0;
    struct stat link{};
    const bool is_link = next < 0 && ::fstatat(at, part.c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode);
    ::close(at);
    if (is_link) throw PackError(shown_ + ": expected a regular file, got a symbolic link (at " + part + ")");
    at = next;
    if (last) break;
    begin = slash + 1;
  }
  if (at < 0) throw PackError(shown_ + ": " + (error == ENOENT ? "expected a file, got none" : "cannot be opened: " + reason(error)));
  struct stat status{};
  const bool known = ::fstat(at, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(at);
    throw PackError(shown_ + ": expected a regular file, got " + (known && S_ISDIR(status.st_mode) ? "a folder" : "something else"));
  }
  descriptor_ = at;
  size_ = static_cast<std::uint64_t>(status.st_size);
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_), shown_(std::move(other.shown_)) {}

std::size_t File::read(std::uint64_t offset, void* out, std::size_t count) const {
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(descriptor_, static_cast<char*>(out) + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw PackError(shown_ + ": cannot be read: " + reason(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::string File::sha256() const {
  std::vector<char> buffer(std::size_t{1} << 18);
  Sha256 hash;
  std::uint64_t offset = 0;
  while (true) {
    const std::size_t got = read(offset, buffer.data(), buffer.size());
    hash.update(buffer.data(), got);
    offset += got;
    if (got < buffer.size()) return hash.hex_digest();
  }
}

}  // namespace affectrt
