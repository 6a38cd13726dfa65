// What KWin gives a script, as far as ours uses it; `play` then does what a person would do.
const PLASMA = @PLASMA@;

function signal() {
    const heard = [];
    return {connect: slot => heard.push(slot), emit: (...args) => heard.forEach(slot => slot(...args))};
}

const desktops = [{name: "one"}, {name: "two"}];

function makeWindow(id, pid, kind, on) {
    const window = {
        internalId: `{${id}}`, pid, resourceClass: "app", desktopFileName: "", caption: "a title", active: false,
        minimized: false, fullScreen: false, onAllDesktops: false, deleted: false,
        minimizedChanged: signal(), fullScreenChanged: signal(),
        toString: () => `KWin::${kind}(0x55d0)`,
    };
    if (PLASMA === 6)
        Object.assign(window, {desktops: [desktops[on]], desktopsChanged: signal()});
    else
        Object.assign(window, {desktop: on + 1, desktopChanged: signal()});
    return window;
}

const first = makeWindow(1, 10, "XdgToplevelWindow", 0);
const second = makeWindow(2, 20, "X11Window", 1);
first.active = true;
let all = [first, second];
const workspace = {currentDesktop: PLASMA === 6 ? desktops[0] : 1, currentDesktopChanged: signal()};
const names = PLASMA === 6
    ? {list: "windowList", added: "windowAdded", removed: "windowRemoved", activated: "windowActivated"}
    : {list: "clientList", added: "clientAdded", removed: "clientRemoved", activated: "clientActivated"};
workspace[names.list] = () => all;
for (const name of [names.added, names.removed, names.activated])
    workspace[name] = signal();

function callDBus(...args) {
    console.log(JSON.stringify(args));
}

function play() {
    workspace.currentDesktop = PLASMA === 6 ? desktops[1] : 2;
    workspace.currentDesktopChanged.emit();
    first.minimized = true;
    first.minimizedChanged.emit();
    const third = makeWindow(3, 30, "XdgToplevelWindow", 1);
    all = [...all, third];
    workspace[names.added].emit(third);
    third.fullScreen = true;
    third.fullScreenChanged.emit();
    first.active = false;
    second.active = true;
    workspace[names.activated].emit(second);
    all = [second, third];
    workspace[names.removed].emit(first);
}
