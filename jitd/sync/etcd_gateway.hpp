// What etcd's v3 JSON gateway is asked and what it answers, as text and as values: the grpc-gateway form of etcd's
// rpc.proto (3.4 and later). Keys and values travel as base64, 64-bit numbers as strings, what is zero, empty or
// false is left out. Nothing in here does any I/O; whatever an answer holds, it becomes a value within its bounds or
// an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/result.hpp"

namespace jit::etcd {

using Revision = std::uint64_t;  // counts every change in a cluster, from 1

// The keys from `first` up to but without `end`; an empty `end`: `first` alone.
struct KeyRange {
  std::string first;
  std::string end;
  bool operator==(const KeyRange&) const = default;
};

// All keys that begin with `prefix`, which is not empty and does not end with byte 0xff.
[[nodiscard]] KeyRange keys_below(const std::string& prefix);

// --- questions
// ------------------------------------------------------------------------------------------------------

struct RangeQuestion {
  KeyRange keys;
  std::uint64_t limit = 0;     // 0: none
  Revision at = 0;             // 0: as it is now, agreed on by most members
  Revision changed_after = 0;  // only keys that changed after this one
  bool keys_only = false;
};
[[nodiscard]] std::string range_question(const RangeQuestion& question);

// Puts value and lease under the key, unless it has exactly these: the same said twice, as after a time-out, is one
// change.
[[nodiscard]] std::string put_question(const std::string& key, std::string_view value, std::uint64_t lease);
[[nodiscard]] std::string delete_question(const std::string& key);
[[nodiscard]] std::string lease_question(std::uint64_t seconds);
// An object of names and texts, which is all that most questions about users and roles are.
[[nodiscard]] std::string words_question(
    std::initializer_list<std::pair<const char*, std::string_view>> names_and_texts);

struct Watched {
  KeyRange keys;
  Revision from = 0;             // the first change to be told
  std::int64_t watch = 0;        // what answers call it; not 0
  bool without_deletes = false;  // what goes away is not told
};
// One body that asks for all of them on one connection.
[[nodiscard]] std::string watch_question(const std::vector<Watched>& watched);

// What a role may do: there is no writing without reading among what we give.
struct Permission {
  enum class Access : std::uint8_t { read, read_write, other };
  Access access = Access::read;
  KeyRange keys;
  bool operator==(const Permission&) const = default;
};
[[nodiscard]] std::string permit_question(const std::string& role, const Permission& permission);
[[nodiscard]] std::string forbid_question(const std::string& role, const KeyRange& keys);

// --- answers
// --------------------------------------------------------------------------------------------------------

struct KeyValue {
  std::string key;
  std::string value;  // empty when only keys were asked for
  Revision changed = 0;
  std::uint64_t lease = 0;
};

// One page of a range. A key or number in it that is none drops that entry alone.
struct Page {
  Revision revision = 0;  // of the whole cluster
  bool more = false;
  std::vector<KeyValue> entries;
};
[[nodiscard]] Result<Page> read_page(std::string_view body);

// One line of a watch.
struct WatchLine {
  struct Change {
    std::string key;
    Revision revision = 0;
  };
  std::int64_t watch = 0;
  Revision revision = 0;  // of the whole cluster
  bool created = false;
  bool cancelled = false;
  Revision compacted = 0;  // cancelled since what it asked for is forgotten: all before this revision
  std::string why;         // it was cancelled, or the whole stream failed
  bool failed = false;     // the stream
  std::vector<Change> changes;
};
[[nodiscard]] Result<WatchLine> read_watch_line(std::string_view line);

[[nodiscard]] Result<std::uint64_t> read_lease(std::string_view body);
[[nodiscard]] Result<std::string> read_token(std::string_view body);
[[nodiscard]] Result<std::vector<std::string>> read_roles(std::string_view body);       // of a user
[[nodiscard]] Result<std::vector<Permission>> read_permissions(std::string_view body);  // of a role

// Why there is no answer, as far as somebody acts on it.
struct Failure {
  enum class Kind : std::uint8_t {
    none,
    away,         // this member cannot now: no leader, too slow, stopping
    login,        // the token is none any more, or none came
    denied,       // the user may not
    password,     // no such user, or another password
    auth_off,     // nobody needs to log in here
    certificate,  // the gateway does not take clients whose certificate has a CN
    no_lease,     // the lease has ended
    compacted,    // the revision asked for is forgotten
    exists,       // what is to be made is there
    missing,      // what is to be changed is not there
    not_etcd,     // nothing here knows the question
    other
  };
  Kind kind = Kind::none;
  std::string message;  // what it said, shown()
};
// Of a response with any status but 200.
[[nodiscard]] Failure read_failure(int status, std::string_view body);

}  // namespace jit::etcd
