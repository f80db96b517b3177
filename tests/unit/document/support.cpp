#include "tests/unit/document/support.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace jit::test {

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "jit-document-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  root_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string TempDir::file(std::string_view name, std::string_view content) const {
  const std::filesystem::path where = path(name);
  std::ofstream(where, std::ios::binary) << content;
  std::filesystem::permissions(where, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  return where.string();
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string vector_file(std::string_view name) {
  return read_file(std::filesystem::path(JIT_SOURCE_DIR) / "tests/unit/document/vectors" / name);
}

Ran run(const std::vector<std::string>& argv, std::string_view input, const std::vector<std::string>& variables) {
  const TempDir dir;
  const std::string in = dir.file("in", input);
  const std::string out = dir.file("out", "");
  const std::string err = dir.file("err", "");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_TRUNC, 0);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_TRUNC, 0);
  std::vector<std::string> words = argv;
  std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                                          "HOME=/nonexistent"};
  environment.insert(environment.end(), variables.begin(), variables.end());
  std::vector<char*> arguments;
  std::vector<char*> env;
  for (std::string& word : words) arguments.push_back(word.data());
  for (std::string& variable : environment) env.push_back(variable.data());
  arguments.push_back(nullptr);
  env.push_back(nullptr);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, words[0].c_str(), &actions, nullptr, arguments.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("cannot run " + words[0]);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) throw std::runtime_error("waitpid failed");
  Ran ran;
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ran.out = read_file(out);
  ran.err = read_file(err);
  return ran;
}

WallTime at(std::string_view utc) {
  return parse_utc(utc).value();
}

SigningKey new_key() {
  return SigningKey::generate().value();
}

Request sample_request(const PublicKey& host_key) {
  Request request;
  request.host = "db1.example.org";
  request.host_key = fingerprint(host_key);
  request.user = "alice";
  request.uid = 1001;
  request.requesters = {{"alice", false}, {"carol", true}};
  request.role = "postgres-admin";
  request.duration = std::chrono::hours(2);
  request.reason = "vacuum is stuck, \"again\"";
  request.ticket = "OPS-17";
  request.created = at("2026-11-22T05:10:39Z");
  request.expires = at("2026-11-23T05:10:39Z");
  request.origin = "local";
  request.effects = "group postgres gid 115\nopens login\nsudo as postgres uid 112: /usr/bin/psql ... [record]\n";
  request.policy = digest_text(sha256("policy"));
  request.nonce = make_nonce();
  return request;
}

Review sample_review() {
  Review review;
  review.host = "db1.example.org";
  review.request = sha256("request");
  review.approve = true;
  review.duration = std::chrono::minutes(30);
  review.comment = "mind the replica";
  review.created = at("2026-11-22T05:12:00Z");
  review.expires = at("2026-11-22T06:12:00Z");
  review.nonce = make_nonce();
  return review;
}

GrantDocument sample_grant() {
  GrantDocument grant;
  grant.hosts = {"db1.example.org", "db2"};
  grant.user = "alice";
  grant.role = "postgres-admin";
  grant.reason = "migration";
  grant.created = at("2026-11-22T05:12:00Z");
  grant.not_before = at("2026-11-22T06:00:00Z");
  grant.not_after = at("2026-11-22T08:00:00Z");
  grant.nonce = make_nonce();
  return grant;
}

Revocation sample_revocation() {
  Revocation revocation;
  revocation.hosts = {"db1.example.org"};
  revocation.segments = {"pci-db"};
  revocation.created = at("2026-11-22T05:12:00Z");
  revocation.reason = "laptop stolen";
  revocation.grants = {sha256("a"), sha256("b")};
  revocation.users = {"alice", "DOM\\bob"};
  revocation.nonce = make_nonce();
  return revocation;
}

Lock sample_lock() {
  Lock lock;
  lock.segments = {"pci-db"};
  lock.created = at("2026-11-22T05:12:00Z");
  lock.reason = "laptop stolen";
  lock.users = {"alice"};
  lock.keys = {fingerprint(new_key().public_key())};
  lock.until = at("2026-11-25T00:00:00Z");
  lock.nonce = make_nonce();
  return lock;
}

AskDocument sample_ask() {
  AskDocument ask;
  ask.hosts = {"db1.example.org"};
  ask.user = "alice";
  ask.role = "postgres-admin";
  ask.duration = std::chrono::hours(2);
  ask.reason = "vacuum stuck";
  ask.created = at("2026-11-22T05:10:00Z");
  ask.expires = at("2026-11-22T06:10:00Z");
  ask.nonce = make_nonce();
  return ask;
}

EventDocument sample_event(const PublicKey& host_key) {
  EventDocument event;
  event.host = "db1.example.org";
  event.host_key = fingerprint(host_key);
  event.sequence = 17;
  event.created = at("2026-11-22T05:12:00Z");
  event.entry = 1234;
  event.head = sha256("entry");
  event.policy = digest_text(sha256("policy"));
  event.machine = digest_text(sha256("machine"));
  event.what = "active";
  event.grant = sha256("request");
  event.user = "alice";
  event.role = "postgres-admin";
  event.state = "active";
  event.until = at("2026-11-22T07:12:00Z");
  event.nonce = make_nonce();
  return event;
}

PolicyDocument sample_policy() {
  PolicyDocument document;
  document.segments = {"pci-db"};
  document.number = 3;
  document.created = at("2026-11-22T05:12:00Z");
  document.reason = "dba may restart";
  document.files = {{"10-dba.toml", "[defaults]\nmax_duration = \"4h\"\n"}};
  document.nonce = make_nonce();
  return document;
}

TrustDocument sample_trust() {
  TrustDocument document;
  static_cast<Delivery&>(document) = sample_policy();
  document.files = {{"approvers", public_key_line(new_key().public_key()) + "\n"}};
  return document;
}

Envelope signed_by(const Document& document, const std::vector<const SigningKey*>& keys,
                   std::string_view name_space) {
  if (name_space.empty()) name_space = kind_namespace(kind_of(document));
  Envelope envelope{to_payload(document), {}};
  for (const SigningKey* key : keys) envelope.signatures.push_back(key->sign(envelope.payload, name_space).value());
  return envelope;
}

TrustFile trust_of(std::string path, const std::vector<std::pair<std::string, PublicKey>>& lines) {
  TrustFile file;
  file.path = std::move(path);
  for (const auto& [principal, key] : lines) {
    TrustLine line;
    line.principal = principal;
    line.key = key;
    line.line = static_cast<unsigned>(file.lines.size() + 1);
    file.lines.push_back(line);
  }
  return file;
}

}  // namespace jit::test
