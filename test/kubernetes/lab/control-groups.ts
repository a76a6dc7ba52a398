import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'
/** containerd makes the control groups of pods here, one below each controller, or one in all (version 2). */
const OF_PODS = 'k8s.io'
const TASKS = 'run/containerd/io.containerd.runtime.v2.task/k8s.io'

/** The names of the control groups of a node's containers, which are the containers' ids. */
export async function controlGroupsOf(nodeRoot: string): Promise<readonly string[]> {
  return await readdir(join(nodeRoot, TASKS)).catch(() => [])
}

/** Removes the control groups of containers that have ended. The kernel keeps those of a node that has lost its power. */
export async function removeControlGroups(names: readonly string[]): Promise<void> {
  const controllers = await readdir(ROOT, { withFileTypes: true })
  const folders = ['.', ...controllers.filter((entry) => entry.isDirectory()).map(({ name }) => name)]
  for (const folder of folders) {
    const parent = join(ROOT, folder, OF_PODS)
    // A controller without the group, and a group that other containers use, stay as they are.
    for (const path of [...names.map((name) => join(parent, name)), parent]) await rmdir(path).catch(() => {})
  }
}
