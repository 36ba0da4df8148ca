// SPDX-License-Identifier: Apache-2.0
#include "report/journal.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

#include "problem/invalid_input.hpp"
#include "report/results_document.hpp"

namespace ringscale::report {

namespace {

constexpr const char *schema = "ringscale.journal";
constexpr int schema_version = 1;

PosixFile open_for_appending(const std::filesystem::path &path) {
  PosixFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file.valid()) {
    throw problem::InvalidInput("cannot write " + path.string() + ": " + std::strerror(errno));
  }
  return file;
}

} // namespace

Journal::Journal(const std::filesystem::path &folder, const std::string &identity, Start start)
    : path_(file_in(folder)), lock_(folder), file_(open_for_appending(path_)) {
  if (start == Start::fresh && std::filesystem::file_size(path_) > 0) {
    throw problem::InvalidInput(path_.string() +
                                " exists already; add --resume to go on with it, or name another output");
  }
  read_back(identity);
}

void Journal::read_back(const std::string &identity) {
  std::ifstream stream(path_, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  std::size_t begin = 0;
  std::size_t number = 1;
  bool has_header = false;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin), ++number) {
    const std::string where = path_.string() + ":" + std::to_string(number);
    const Json line = parse_json(std::string_view(text).substr(begin, end - begin), where);
    if (!has_header) {
      require_schema(line, where, schema, schema_version);
      const ObjectReader reader(line, where);
      reader.allow("schema");
      reader.allow("schema_version");
      if (reader.text("identity") != identity) {
        throw problem::InvalidInput(path_.string() +
                                    " was written for another experiment file or machine file; name another output");
      }
      reader.finish();
      has_header = true;
    } else {
      take_line(line, where);
    }
    begin = end + 1;
  }
  // What follows the last newline was torn by a kill: its point is not finished.
  if (begin < text.size() && ::ftruncate(file_.descriptor(), static_cast<off_t>(begin)) != 0) {
    throw problem::InvalidInput("cannot repair " + path_.string() + ": " + std::strerror(errno));
  }
  if (!has_header) {
    Json header = Json::object();
    header["schema"] = schema;
    header["schema_version"] = schema_version;
    header["identity"] = identity;
    write_line(header);
    sync_folder(path_.parent_path());
  }
}

void Journal::take_line(const Json &line, const std::string &where) {
  const ObjectReader reader(line, where);
  if (reader.has("run")) {
    runs_.push_back(reader.any("run"));
  } else if (reader.has("started")) {
    started_ = JournalStart{reader.text("started"), reader.integer("ring_size", 1)};
  } else if (reader.has("failed")) {
    JournalFailure failure{reader.text("failed"), reader.integer("ring_size", 1), reader.text("reason"), {}};
    if (!reader.any("exit_code").is_null()) {
      failure.exit_code = static_cast<int>(reader.integer("exit_code", 0, 255));
    }
    end_attempt(failure.point);
    failures_.push_back(std::move(failure));
  } else {
    const std::string point = reader.text("point");
    if (!places_.emplace(point, entries_.size()).second) {
      throw problem::InvalidInput(where + ": the point '" + point + "' stands twice in the journal");
    }
    static_cast<void>(reader.object("row"));
    end_attempt(point);
    entries_.push_back({point, reader.any("row")});
  }
  reader.finish();
}

void Journal::append_run(const Json &provenance) {
  Json line = Json::object();
  line["run"] = provenance;
  write_line(line);
  runs_.push_back(provenance);
}

void Journal::append_point(const std::string &point, const Json &row) {
  if (finished(point)) {
    throw std::logic_error("the point '" + point + "' was about to be written a second time");
  }
  Json line = Json::object();
  line["point"] = point;
  line["row"] = row;
  write_line(line);
  end_attempt(point);
  places_.emplace(point, entries_.size());
  entries_.push_back({point, row});
}

void Journal::append_started(const JournalStart &start) {
  Json line = Json::object();
  line["started"] = start.point;
  line["ring_size"] = start.ring_size;
  write_line(line);
  started_ = start;
}

void Journal::append_failed(const JournalFailure &failure) {
  Json line = Json::object();
  line["failed"] = failure.point;
  line["ring_size"] = failure.ring_size;
  line["reason"] = failure.reason;
  line["exit_code"] = failure.exit_code ? Json(*failure.exit_code) : Json(nullptr);
  write_line(line);
  end_attempt(failure.point);
  failures_.push_back(failure);
}

void Journal::end_attempt(const std::string &point) {
  if (started_ && started_->point == point) {
    started_.reset();
  }
}

void Journal::write_line(const Json &line) {
  if (!file_.write_all(write_json(line, -1) + "\n") || ::fsync(file_.descriptor()) != 0) {
    throw problem::InvalidInput("cannot write " + path_.string() + ": " + std::strerror(errno));
  }
}

} // namespace ringscale::report
