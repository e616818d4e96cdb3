/**
 * Members of a Docker Compose file that the linter knows (Compose Specification, schema compose-spec.json). It has a check
 * for each of them that reaches out of the container. Another member gets a warning, also a new one of Docker Compose.
 * Left out on purpose, because they reach other containers or the CVM and services of dstack do not need them:
 * cgroup_parent, credential_spec, develop, device_cgroup_rules, external_links, isolation, label_file, provider, runtime,
 * volumes_from.
 */

const service = `
annotations attach blkio_config build cap_add cap_drop cgroup command configs container_name cpu_count cpu_percent
cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset depends_on deploy devices dns dns_opt dns_search
domainname entrypoint env_file environment expose extends extra_hosts gpus group_add healthcheck hostname image init ipc
labels links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks
oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles pull_policy
pull_refresh_after read_only restart scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal
storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes working_dir`

/** Members of a service. */
export const knownServiceMembers: ReadonlySet<string> = new Set(service.trim().split(/\s+/))

/** Members of the file. */
export const knownTopMembers: ReadonlySet<string> = new Set(
  'configs include models name networks secrets services version volumes'.split(' '),
)
