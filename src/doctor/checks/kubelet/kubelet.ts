import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesOfLimit, type DiskLimit } from '../../../lib/disk-limit.ts'
import { plain, sizeText } from '../../../observe/text.ts'
import { RuntimeFailure } from '../../../runtimes/files/failure.ts'
import { HostFiles } from '../../../runtimes/files/host-files.ts'
import { AS_ROOT, type Finding, notChecked, ok, warning } from '../../tools/finding.ts'
import type { NodeSettings } from '../../tools/node-settings.ts'
import { readConfiguration, type Thresholds, thresholdsOf } from './thresholds.ts'

const NODE_FOLDER = '/var/lib/kubelet'
const IMAGE_FOLDERS = [
  '/var/lib/containerd',
  '/var/lib/containers/storage',
  '/var/lib/docker',
  '/var/lib/rancher',
]

/** Compares what the agent leaves free with what the kubelet of this node wants to be free. Nothing without a kubelet. */
export async function checkKubelet(
  data: string,
  { root, minFree }: Pick<NodeSettings, 'root' | 'minFree'>,
  totalBytes: number,
): Promise<readonly Finding[]> {
  let thresholds: Thresholds
  try {
    const configuration = await readConfiguration(new HostFiles(root))
    if (configuration === undefined) return []
    thresholds = thresholdsOf(configuration)
  } catch (error) {
    if (!(error instanceof RuntimeFailure)) throw error
    return [notChecked('kubelet-unreadable', plain(error.message), AS_ROOT)]
  }
  const { node, images } = thresholds
  const device = await deviceOf(data)
  const isOn = async (folder: string): Promise<boolean> =>
    device !== undefined && (await deviceOf(join(root, folder))) === device
  const wanted = (await isOn(NODE_FOLDER)) ? [...node] : []
  for (const folder of IMAGE_FOLDERS) if (await isOn(folder)) wanted.push(...images)
  return judgeKubelet(wanted, { data, minFree, totalBytes })
}

export function judgeKubelet(
  wanted: readonly DiskLimit[],
  { data, minFree, totalBytes }: { data: string; minFree: DiskLimit; totalBytes: number },
): readonly Finding[] {
  if (wanted.length === 0) return []
  const most = Math.max(...wanted.map((one) => bytesOfLimit(one, totalBytes)))
  const left = bytesOfLimit(minFree, totalBytes)
  const kubelet = `the kubelet wants ${sizeText(most)} of the filesystem of ${plain(data)} to be free`
  if (left > most) return [ok('kubelet-has-room', `${kubelet}, and the agent leaves ${sizeText(left)} free`)]
  return [
    warning('kubelet-thresholds', `${kubelet}, but the agent leaves only ${sizeText(left)} free`, {
      means:
        'when the disk fills up, the kubelet deletes images, or ends pods, before the store gives up space',
      todo: `set --min-free to more than ${Math.ceil((most / totalBytes) * 100)}%, or put the data folder on a filesystem of its own`,
    }),
  ]
}

/** The filesystem of a file; undefined if the file does not exist. */
async function deviceOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ dev }) => dev,
    () => undefined,
  )
}
