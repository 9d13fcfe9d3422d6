import { boot, ifCloneCreate, ifVmove, inetAddress, ping, vnetCreate } from "@softc/softc";

const kernel = await boot({ cpus: 2 });
await kernel.modules.load("softc:epair"); // or a driver's URL, path or package name
const [here, there] = await ifCloneCreate(kernel.vnet0, "epair");
const { ifnet: far } = await ifVmove(there, await vnetCreate(kernel.vnet0, "red"));
await Promise.all([here.up(), far.up()]);
await inetAddress(here, "10.0.0.1/24");
await inetAddress(far, "10.0.0.2/24");
console.log((await ping(kernel.vnet0, "10.0.0.2", { count: 3 })).received, "replies"); // 3 replies
console.log((await kernel.shutdown()).unaccounted, "packets unaccounted for"); // 0 packets unaccounted for
