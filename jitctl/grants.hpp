// Grant rows of the control protocol, as people see them.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "jitctl/context.hpp"
#include "jitctl/row.hpp"

namespace jit::ctl {

// "active, 42m left", "pending: waiting for dba-leads (1 of 2)", "ended: expired".
[[nodiscard]] std::string state_text(const Row& grant);

// ID STATE ROLE USER WHY, or "nothing" in words when there is no row.
void print_grants(Context& context, const std::vector<Row>& grants, std::string_view nothing);

// One grant or request, field by field, effects and signatures with it.
void print_grant(std::ostream& out, const Row& grant, std::size_t columns);

}  // namespace jit::ctl
