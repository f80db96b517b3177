// A host as approvers elsewhere know it.
#pragma once

#include <string>

#include "policy/document/kinds.hpp"
#include "tests/unit/jitctl/fixture.hpp"

namespace jit::ctl {

// A host with its key, and requests that it signed.
struct Host {
  SigningKey key = *SigningKey::generate();
  std::string name = "db1";

  Request request(const Fixture& f) const {
    Request request;
    request.host = name;
    request.host_key = fingerprint(key.public_key());
    request.user = "alice";
    request.uid = 1001;
    request.requesters = {{"alice", false}};
    request.role = "dba";
    request.duration = std::chrono::hours(2);
    request.reason = "vacuum stuck";
    request.ticket = "OPS-1";
    request.created = f.now - std::chrono::minutes(3);
    request.expires = f.now + std::chrono::hours(23);
    request.origin = "local";
    request.effects = "group postgres gid 114\nsudo as postgres uid 114: /usr/bin/psql ...\n";
    request.policy = "sha256:" + std::string(64, 'a');
    request.nonce = make_nonce();
    return request;
  }
  std::string signed_request(const Request& request) const {
    const auto payload = to_payload(request);
    return to_text(Envelope{payload, {*key.sign(payload, "jit-request")}});
  }
  std::string trust_line() const { return name + " " + public_key_line(key.public_key()) + "\n"; }
};

}  // namespace jit::ctl
