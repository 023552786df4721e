// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/development.h"

#include <functional>

#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/rest/services.h"
#include "sphere/core/guid.h"

namespace sphere::agent {

void leave_development(Services& services, bool stays) {
  bool erased = true;
  if (!stays) {
    for (const auto& app : services.loop->call([&] { return services.apps->list(); })) {
      const auto component = Guid::parse(app.component_id);
      if (app.signed_by != "development" || !component) {
        continue;
      }
      const auto removed =
          services.loop->await<Answer<void>>([&](const std::function<void(Answer<void>)>& done) {
            services.apps->remove(*component, done);
          });
      erased = erased && removed.has_value();
    }
  }
  if (erased) {  // Else again at the next start.
    services.state->forget_leaving_development();
  }
}

}  // namespace sphere::agent
