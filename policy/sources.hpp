// Where documents come from and go to, as jitd.toml and approver.toml say it: [[sources]], each one a mailbox.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"
#include "policy/rules/toml_reader.hpp"
#include "policy/time.hpp"

namespace jit {

// One mailbox and how to get at it. Files are named by their whole path; they are opened when they are used.
struct SourceSpec {
  enum class Type : std::uint8_t { directory, https, etcd, ssh };
  std::string name;  // for people and for what is remembered of it; a policy name
  Type type = Type::directory;
  std::string url;   // as it was given
  std::string path;  // directory: the folder. etcd: the prefix of its keys, without a slash at its ends
  std::vector<std::string> servers;  // https: the one base URL. etcd: "https://HOST:PORT" each. ssh: "USER@HOST:PORT"
  // https and etcd.
  std::string ca;           // PEM of who may sign the server's certificate; empty: the system's
  std::string crl;          // PEM of revoked certificates; empty: not looked at
  std::string certificate;  // ours, and its key; both or neither
  std::string key;
  std::string proxy;  // "http://HOST:PORT"; empty: none, whatever the environment says
  std::string user;   // etcd: whose password is in password_file; both or neither. https: HTTP basic authentication
  std::string password_file;
  // Where nothing tells of news: how often it is looked for them. 0: what is right for its type (https 15 s, a folder
  // without inotify 5 s).
  Seconds poll{0};
  bool post = true;  // what this host says goes there, too
  bool operator==(const SourceSpec&) const = default;
};

inline constexpr std::size_t kMaxSources = 16;

// A URL alone, as after --source:
//   /DIR, file:///DIR           a folder, such as a USB stick, a network file system, a git checkout
//   https://HOST[:PORT]/PATH    static files; http:// too, since what counts is signed, but then anybody can read
//   etcd+https://HOST:PORT[,HOST:PORT...]/PREFIX    etcd's JSON gateway; etcd+http:// for loopback
//   ssh://[USER@]HOST[:PORT]    the mailbox of that one host (jit-mailbox(8)); USER is "jit" unless said
// Refused: a name or password in any but ssh, "?" and "#", "." and ".." in a path, a port that is none, control
// characters and blanks, more than 1024 bytes.
[[nodiscard]] Result<SourceSpec> parse_source_url(std::string_view url);

// [[sources]] of a configuration: name, url, ca, crl, certificate, key, proxy, user, password_file, poll, post.
// Problems are noted with the file, line and key; keys that do not go with the type are problems too.
[[nodiscard]] std::vector<SourceSpec> read_sources(TableReader& table);

// [[sources]] of the text of a jitd.toml, for who needs nothing else of it: other keys are jitd's to judge. `path` is
// for messages.
[[nodiscard]] Result<std::vector<SourceSpec>> parse_sources(std::string_view text, const std::string& path);

}  // namespace jit
