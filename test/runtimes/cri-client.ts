import * as cri from '../../src/doctor/tools/cri-client.ts'

/** The doctor's client of CRI with the deadline of tests. */
const DEADLINE_MS = 60_000

const deadline = () => ({ signal: AbortSignal.timeout(DEADLINE_MS) })

export async function pullByCri(socket: string, image: string): Promise<void> {
  await cri.pullByCri(socket, image, deadline())
}

/** Pulls with the login of a pull secret, as the kubelet does. */
export async function pullWithLoginByCri(
  socket: string,
  image: string,
  login: { readonly user: string; readonly password: string },
): Promise<void> {
  const auth = Buffer.concat([field(1, Buffer.from(login.user)), field(2, Buffer.from(login.password))])
  const request = Buffer.concat([field(1, field(1, Buffer.from(image))), field(2, auth)])
  await cri.callCri(socket, 'PullImage', request, deadline())
}

/** A field of Protocol Buffers whose value has a length of one byte. */
function field(number: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), value])
}

export async function removeByCri(socket: string, image: string): Promise<void> {
  await cri.removeByCri(socket, image, deadline())
}

/** Whether the image service answers. */
export async function answersCri(socket: string): Promise<boolean> {
  await cri.askCri(socket, deadline())
  return true
}
