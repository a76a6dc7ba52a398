import { containerd } from './containerd.ts'
import { pullsThroughTheAgent } from './pulls.ts'

pullsThroughTheAgent(containerd)
