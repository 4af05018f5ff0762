// A file of a pack, opened so that no symbolic link is followed on the way and nothing but a regular file is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace affectrt {

class File {
 public:
  // `path` is relative to `folder` and uses `/`. `shown` names the file in errors. Throws PackError.
  File(const std::filesystem::path& folder, const std::string& path, std::string shown);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;

  std::uint64_t size() const { return size_; }
  const std::string& shown() const { return shown_; }

  // Up to `count` bytes from `offset`; fewer only at the end of the file. Throws PackError.
  std::size_t read(std::uint64_t offset, void* out, std::size_t count) const;

  // SHA-256 of the whole file as 64 lower-case hex digits.
  std::string sha256() const;

 private:
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::string shown_;
};

}  // namespace affectrt
