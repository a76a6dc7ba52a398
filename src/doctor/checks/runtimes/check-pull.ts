import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { errorCode } from '../../../lib/error-code.ts'
import { plain } from '../../../observe/text.ts'
import { CHECK_REPOSITORY } from '../../../oci/names/check-repository.ts'
import { repositoryKey } from '../../../oci/names/repository.ts'
import { askCri, CriError, pullByCri, removeByCri } from '../../tools/cri-client.ts'
import { AS_ROOT, type Finding, notChecked, ok, problem } from '../../tools/finding.ts'

/** Where runtimes serve CRI: of distributions, k3s and RKE2, MicroK8s; of CRI-O. */
const SOCKETS = {
  containerd: [
    '/run/containerd/containerd.sock',
    '/run/k3s/containerd/containerd.sock',
    '/var/snap/microk8s/common/run/containerd.sock',
  ],
  crio: ['/run/crio/crio.sock', '/var/run/crio/crio.sock'],
} as const

const ANSWER_MS = 2_000
/** A runtime that does not ask the agent looks for a registry that does not exist. */
const PULL_MS = 10_000
const REMOVE_MS = 2_000
const BY_HAND = 'helm test pulls the same image through a node of the cluster'

/** Has the runtime pull an image that only the agent has, which proves that the runtime asks the agent. */
export async function checkPull(
  runtime: keyof typeof SOCKETS,
  { root, signal }: { root: string; signal: AbortSignal },
): Promise<readonly Finding[]> {
  for (const path of SOCKETS[runtime]) {
    const socket = join(root, path)
    try {
      await askCri(socket, { signal: within(ANSWER_MS, signal) })
    } catch (error) {
      if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(errorCode(error) ?? '')) continue
      return [unanswered(runtime, socket, error)]
    }
    return [await pullOnce(runtime, socket, signal)]
  }
  // Most machines with the files of CRI-O have podman only, and a root in a container has files only.
  if (runtime === 'crio' || root !== '/') return []
  return [
    notChecked(
      'runtime-pull-unchecked',
      `no socket of ${runtime} was found, so it could not be asked to pull an image that only the agent has`,
      `run agent doctor on the node itself; ${BY_HAND}`,
    ),
  ]
}

/** Pulls a new tag of the check image through the runtime at `socket`, and removes it. */
export async function pullOnce(runtime: string, socket: string, signal: AbortSignal): Promise<Finding> {
  const image = `${repositoryKey(CHECK_REPOSITORY)}:${randomBytes(8).toString('hex')}`
  try {
    await pullByCri(socket, image, { signal: within(PULL_MS, signal) })
  } catch (error) {
    const why =
      error instanceof CriError ? plain(error.message).slice(0, 400) : 'it did not answer within 10 s'
    return problem('runtime-does-not-ask', `${runtime} could not pull ${image}: ${why}`, {
      means: 'only the agent has this image, so the runtime does not ask the agent, or is not answered by it',
      todo: `see the other findings; then restart ${runtime}, which may have read its settings before they were changed`,
    })
  } finally {
    // What remains after a failure is 2 KB, which the kubelet removes with other unused images.
    await removeByCri(socket, image, { signal: AbortSignal.timeout(REMOVE_MS) }).catch(() => {})
  }
  return ok('runtime-asks-agent', `${runtime} has pulled ${image}, which only the agent has`)
}

function unanswered(runtime: string, socket: string, error: unknown): Finding {
  if (error instanceof CriError && error.isUnimplemented)
    return notChecked('runtime-pull-unchecked', `the ${runtime} at ${socket} does not pull for Kubernetes`)
  const isDenied = errorCode(error) === 'EACCES' || errorCode(error) === 'EPERM'
  return notChecked(
    'runtime-pull-unchecked',
    `${runtime} does not answer at ${socket}${isDenied ? ': permission denied' : ''}`,
    isDenied ? AS_ROOT : BY_HAND,
  )
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)])
}
