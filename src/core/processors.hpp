#pragma once

#include <string>

namespace scvi {

/// The least CPU quota, in processors, that the cgroups of a process and their ancestors set; 0 where none does.
/// @param membership text of /proc/self/cgroup
/// @param root where the cgroup file systems are mounted: "/sys/fs/cgroup"
double cgroup_cpu_quota(const std::string& membership, const std::string& root);

}  // namespace scvi
