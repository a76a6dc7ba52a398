import { configure, ip, Namespaces, tc } from './namespaces.ts'

/** Bits per second of Ethernet frames with their headers. */
export type Rate = number

/** One machine of the lab: a namespace with one link to the switch. */
export interface LabMachine {
  readonly label: string
  readonly namespace: string
  /** The IPv4 address of its link. */
  readonly address: string
}

/** The bytes that have gone over one link. */
export interface Traffic {
  readonly sent: number
  readonly received: number
}

/** The switch that upstream is connected to. */
const CORE = 'core'
/** The MAC address of every switch, which drops frames that are sent to it. */
const SWITCH_MAC = '02:00:00:00:00:01'
/** The most bytes of a packet that the kernel segments later: larger ones would wait long for tokens of the rate limit. */
const MAX_PACKET_BYTES = 16_384
const BURST = 2 * MAX_PACKET_BYTES
/** How long a packet may wait in front of a link; later ones are dropped. */
const QUEUE_MS = 25

/**
 * Machines that are connected to one switch, each by a link with a rate limit in both directions. The machines and the
 * switch are namespaces. The real machine has no address of the lab, so all packets go over the links.
 */
export class Network {
  readonly #namespaces = new Namespaces()
  readonly #switch: string
  readonly #machines: LabMachine[] = []
  readonly #sites = new Set<string>()

  constructor() {
    try {
      this.#switch = this.#namespaces.add('switch')
      this.#addBridge(CORE)
    } catch (error) {
      this.#namespaces.close()
      throw error
    }
  }

  /** The machines of one `site` share a switch, which one link connects to the other switches. */
  addMachine(label: string, rate?: Rate, site?: string): LabMachine {
    const bridge = site === undefined ? CORE : this.#bridgeOf(site)
    const address = `10.77.0.${this.#machines.length + 1}`
    const namespace = this.#namespaces.add(label)
    const machine = { label, namespace, address }
    this.#machines.push(machine)
    const port = portOf(machine)
    const large = `gso_max_size ${MAX_PACKET_BYTES}`
    ip(['-n', this.#switch, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'cable', 'netns', namespace])
    configure(this.#switch, [`link set ${port} master ${bridge} ${large}`, `link set ${port} up`])
    configure(namespace, [
      `address add ${address}/24 dev cable`,
      `link set cable ${large}`,
      'link set cable up',
    ])
    if (rate !== undefined) this.setRate(machine, rate)
    return machine
  }

  #bridgeOf(site: string): string {
    const bridge = `site-${site}`
    if (this.#sites.has(site)) return bridge
    this.#sites.add(site)
    this.#addBridge(bridge)
    configure(this.#switch, [
      `link add in-${site} type veth peer name out-${site}`,
      `link set in-${site} master ${bridge} up`,
      `link set out-${site} master ${CORE} up`,
    ])
    return bridge
  }

  #addBridge(name: string): void {
    configure(this.#switch, [
      `link add ${name} address ${SWITCH_MAC} type bridge forward_delay 0 mcast_snooping 0`,
      `link set ${name} up`,
    ])
  }

  /** Sets the rate of the machine's link in both directions. */
  setRate(machine: LabMachine, rate: Rate): void {
    const bucket = `root tbf rate ${Math.round(rate)}bit burst ${BURST} latency ${QUEUE_MS}ms`
    tc(machine.namespace, `qdisc replace dev cable ${bucket}`)
    tc(this.#switch, `qdisc replace dev ${portOf(machine)} ${bucket}`)
  }

  /** Disconnects the machine's link from the switch. */
  cut(machine: LabMachine): void {
    configure(this.#switch, [`link set ${portOf(machine)} down`])
  }

  mend(machine: LabMachine): void {
    configure(this.#switch, [`link set ${portOf(machine)} up`])
  }

  /** Drops packets from one group to another. A machine in no group still reaches all machines. */
  partition(...groups: readonly (readonly LabMachine[])[]): void {
    for (const group of groups) {
      const others = groups.filter((other) => other !== group).flat()
      // The machines send packets for other groups to the switch's own address, and the switch drops them.
      for (const machine of group) {
        configure(
          machine.namespace,
          others.map(
            (other) => `neigh replace ${other.address} lladdr ${SWITCH_MAC} dev cable nud permanent`,
          ),
        )
      }
    }
  }

  /** Ends all partitions. */
  heal(): void {
    for (const { namespace } of this.#machines) configure(namespace, ['neigh flush all nud permanent'])
  }

  /** Counted at the machine's end of its link, with headers. */
  traffic(machine: LabMachine): Traffic {
    return countedAt(machine.namespace, 'cable')
  }

  /** What a site has sent to the other switches, and received from them. */
  trafficOf(site: string): Traffic {
    return countedAt(this.#switch, `in-${site}`)
  }

  close(): void {
    this.#namespaces.close()
  }
}

function countedAt(namespace: string, device: string): Traffic {
  const [link] = JSON.parse(ip(['-n', namespace, '-json', '-stats', 'link', 'show', 'dev', device]))
  return { sent: link.stats64.tx.bytes, received: link.stats64.rx.bytes }
}

function portOf(machine: LabMachine): string {
  return `port${machine.address.split('.')[3]}`
}
