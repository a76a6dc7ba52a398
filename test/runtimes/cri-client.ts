import * as cri from '../../src/doctor/tools/cri-client.ts'

/** The doctor's client of CRI with the deadline of tests. */
const DEADLINE_MS = 60_000

const deadline = () => ({ signal: AbortSignal.timeout(DEADLINE_MS) })

export async function pullByCri(socket: string, image: string): Promise<void> {
  await cri.pullByCri(socket, image, deadline())
}

export async function removeByCri(socket: string, image: string): Promise<void> {
  await cri.removeByCri(socket, image, deadline())
}

/** Whether the image service answers. */
export async function answersCri(socket: string): Promise<boolean> {
  await cri.askCri(socket, deadline())
  return true
}
