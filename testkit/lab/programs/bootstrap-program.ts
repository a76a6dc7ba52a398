import DHT from 'hyperdht'
import { obey } from '../remote-process.ts'

/** The DHT node that all others start from. */

const skills = {
  async light({ host, port }: { readonly host: string; readonly port: number }) {
    await DHT.bootstrapper(port, host, { host }).fullyBootstrapped()
  },
}

export type BeaconSkills = typeof skills
obey(skills)
