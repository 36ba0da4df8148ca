// SPDX-License-Identifier: Apache-2.0
// An own reader: Debian packages no maintained C++ library for .npy files, and those one finds elsewhere read files
// into the wrong type, or past their end, instead of refusing them.
#include "report/npy_file.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "problem/invalid_input.hpp"
#include "report/npy_header.hpp"
#include "report/output_file.hpp"
#include "report/posix_file.hpp"

namespace ringscale::report {

namespace {

using problem::InvalidInput;

static_assert(std::endian::native == std::endian::little, "elements are read and written in the host's byte order");

struct TypeWords {
  NpyType type;
  std::string_view name;
  std::string_view element_type;
  std::int64_t bytes;
};
constexpr std::array types = {
    TypeWords{NpyType::float32, "float32", "<f4", 4}, TypeWords{NpyType::float16, "float16", "<f2", 2},
    TypeWords{NpyType::bfloat16, "bfloat16", "<u2", 2}, TypeWords{NpyType::boolean, "boolean", "|b1", 1}};

const TypeWords &words_of(NpyType type) {
  return *std::find_if(types.begin(), types.end(), [&](const TypeWords &words) { return words.type == type; });
}

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr std::size_t rank = 4;
constexpr std::size_t mask_rank = 2;
// A header of ours takes 118 bytes; numpy itself distrusts what is longer than 10,000.
constexpr std::size_t longest_header = 10'000;

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  // A hostile header may have thousands of axes; a message has room for some.
  for (std::size_t axis = 0; axis < std::min<std::size_t>(shape.size(), 8); ++axis) {
    text.append(axis == 0 ? "" : ", ").append(std::to_string(shape[axis]));
  }
  return text + (shape.size() > 8 ? ", ...)" : ")");
}

/// Elements times bytes of a shape; nothing when an extent is not positive or the product leaves 63 bits.
std::optional<std::int64_t> bytes_of(std::span<const std::int64_t> shape, NpyType type) {
  std::int64_t bytes = element_bytes(type);
  for (const std::int64_t extent : shape) {
    if (extent <= 0 || __builtin_mul_overflow(bytes, extent, &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

/// One file being read; every refusal names it.
class NpyReader {
public:
  NpyReader(const std::filesystem::path &path, bool mask)
      : path_(path), mask_(mask), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (!file_.valid()) {
      fail(std::strerror(errno));
    }
    struct stat status = {};
    if (::fstat(file_.descriptor(), &status) != 0) {
      fail(std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
      fail("not a regular file; give an .npy file that numpy.save wrote");
    }
    size_ = status.st_size;
  }

  NpyTensor read() {
    const NpyHeader header = read_header();
    NpyTensor tensor;
    tensor.type = check(header);
    tensor.shape = header.shape;
    const std::int64_t wanted = *bytes_of(tensor.shape, tensor.type);
    const std::int64_t found = size_ - position_;
    if (found != wanted) {
      fail(std::to_string(found) + " bytes of data where shape " + shape_text(tensor.shape) + " of " +
           std::string(name(tensor.type)) + " needs " + std::to_string(wanted) +
           (found < wanted ? "; the file is truncated" : "; something follows the array"));
    }
    try {
      tensor.data.resize(static_cast<std::size_t>(wanted));
    } catch (const std::bad_alloc &) {
      fail("no memory for its " + std::to_string(wanted) + " bytes");
    }
    take(tensor.data.data(), tensor.data.size(), "data");
    return tensor;
  }

private:
  [[noreturn]] void fail(const std::string &reason) const {
    throw InvalidInput("cannot read " + path_.string() + ": " + reason);
  }

  void take(void *to, std::size_t count, const char *what) {
    auto *next = static_cast<char *>(to);
    while (count > 0) {
      const ssize_t got = ::read(file_.descriptor(), next, count);
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got < 0) {
        fail(std::strerror(errno));
      }
      if (got == 0) {
        fail(std::string("the file ends within its ") + what);
      }
      next += got;
      count -= static_cast<std::size_t>(got);
      position_ += got;
    }
  }

  NpyHeader read_header() {
    std::array<unsigned char, 8> start{};
    if (size_ < static_cast<std::int64_t>(start.size())) {
      fail("not an .npy file: " + std::to_string(size_) + " bytes; give a file that numpy.save wrote");
    }
    take(start.data(), start.size(), "header");
    if (std::memcmp(start.data(), magic.data(), magic.size()) != 0) {
      const std::string_view first(reinterpret_cast<const char *>(start.data()), magic.size());
      fail("not an .npy file: it begins with " + printable(first) +
           (first.starts_with("PK") ? "; an .npz archive: save one array with numpy.save"
                                    : "; give a file that numpy.save wrote"));
    }
    const int major = start[6];
    const int minor = start[7];
    if (major < 1 || major > 3 || minor != 0) {
      fail("format version " + std::to_string(major) + "." + std::to_string(minor) +
           " is not supported; numpy writes 1.0, 2.0 and 3.0");
    }
    std::array<unsigned char, 4> length_bytes{};
    take(length_bytes.data(), major == 1 ? 2 : 4, "header");
    std::size_t length = 0;
    for (std::size_t index = length_bytes.size(); index-- > 0;) {
      length = length << 8U | length_bytes[index];
    }
    if (static_cast<std::int64_t>(length) > size_ - position_) {
      fail("a header of " + std::to_string(length) + " bytes in a file that has " + std::to_string(size_ - position_) +
           " left; the file is truncated");
    }
    if (length > longest_header) {
      fail("a header of " + std::to_string(length) + " bytes; that of a float array takes about 118");
    }
    std::string text(length, '\0');
    take(text.data(), length, "header");
    try {
      return parse_npy_header(text);
    } catch (const InvalidInput &error) {
      fail(error.what());
    }
  }

  NpyType check(const NpyHeader &header) const {
    const auto found = std::find_if(types.begin(), types.end(), [&](const TypeWords &words) {
      return words.element_type == header.element_type && (words.type == NpyType::boolean) == mask_;
    });
    if (found == types.end() && mask_) {
      fail("dtype " + printable(header.element_type) + " is no mask; save array.astype(bool)");
    }
    if (found == types.end()) {
      const bool big_endian = header.element_type.starts_with('>');
      const bool extension_type = header.element_type.ends_with("V2");
      fail("dtype " + printable(header.element_type) +
           (big_endian
                ? " is big-endian; save array.astype('<f4')"
                : (extension_type ? " is not supported; save bfloat16 as its bits, array.view('<u2')"
                                  : " is not supported; save '<f4' (float32), '<f2' (float16) or '<u2' (the bits "
                                    "of bfloat16), as by array.astype('<f4')")));
    }
    if (header.shape.size() != (mask_ ? mask_rank : rank)) {
      fail("rank " + std::to_string(header.shape.size()) + ", shape " + shape_text(header.shape) +
           (mask_ ? "; a mask is [query_tokens, key_tokens]" : "; a tensor is [batch, tokens, heads, head_dim]"));
    }
    for (const std::int64_t extent : header.shape) {
      if (extent <= 0) {
        fail("shape " + shape_text(header.shape) + " has an extent of " + std::to_string(extent) +
             "; every extent is at least 1");
      }
    }
    if (!bytes_of(header.shape, found->type)) {
      fail("shape " + shape_text(header.shape) + " has more bytes than 63 bits count");
    }
    if (header.fortran_order) {
      fail("Fortran order; save numpy.ascontiguousarray(array)");
    }
    return found->type;
  }

  std::filesystem::path path_;
  bool mask_;
  PosixFile file_;
  std::int64_t size_ = 0;
  std::int64_t position_ = 0;
};

} // namespace

std::string_view name(NpyType type) { return words_of(type).name; }

std::int64_t element_bytes(NpyType type) { return words_of(type).bytes; }

NpyTensor read_npy(const std::filesystem::path &path) { return NpyReader(path, false).read(); }
NpyTensor read_npy_mask(const std::filesystem::path &path) { return NpyReader(path, true).read(); }

void write_npy(const std::filesystem::path &path, std::span<const std::int64_t> shape, NpyType type,
               std::span<const std::byte> data) {
  const std::optional<std::int64_t> wanted = bytes_of(shape, type);
  if (shape.size() != rank || !wanted || *wanted != static_cast<std::int64_t>(data.size())) {
    throw std::invalid_argument("write_npy: " + std::to_string(data.size()) + " bytes are no " +
                                std::string(name(type)) + " tensor of shape " + shape_text(shape));
  }
  const std::string prefix =
      npy_prefix({std::string(words_of(type).element_type), false, {shape.begin(), shape.end()}});
  const std::array<std::string_view, 2> parts = {
      prefix, std::string_view(reinterpret_cast<const char *>(data.data()), data.size())};
  write_file_exclusive(path, parts);
}

} // namespace ringscale::report
