// Requests and grants that hosts elsewhere know, by id: its first characters do where only one begins so.
#pragma once

#include <string>
#include <vector>

#include "jitctl/elsewhere.hpp"
#include "policy/digest.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

struct FoundDocument {
  Digest digest;
  std::vector<std::string> hosts;  // that said something of it
  bool request = false;            // its request waits there, so it is no direct grant
};

// A request or direct grant, by id, prefix or whole digest.
[[nodiscard]] Result<FoundDocument> find_grant_elsewhere(Elsewhere& elsewhere, const std::vector<std::string>& hosts,
                                                         const std::string& id);

// The same, and whatever else events are about: documents that somebody sent.
[[nodiscard]] Result<FoundDocument> find_anything_elsewhere(Elsewhere& elsewhere,
                                                            const std::vector<std::string>& hosts,
                                                            const std::string& id);

// The one request that waits and begins so.
struct WaitingRequest {
  std::string host;
  SeenRequest request;
};
[[nodiscard]] Result<WaitingRequest> find_waiting(Context& context, Elsewhere& elsewhere, const std::string& id);

}  // namespace jit::ctl
