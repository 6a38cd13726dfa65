// What GNOME Shell gives an extension, as far as ours uses it; then what a person would do.
let connected = 0;
let sources = 0;
let waiting = [];

class Emitter {
    #slots = new Map();
    connect(name, slot) {
        connected++;
        this.#slots.set(connected, [name, slot]);
        return connected;
    }
    disconnect(id) {
        if (!this.#slots.delete(id))
            throw new Error(`not connected: ${id}`);
    }
    emit(name, ...args) {
        for (const [wanted, slot] of [...this.#slots.values()]) {
            if (wanted === name)
                slot(this, ...args);
        }
    }
    get left() {
        return this.#slots.size;
    }
}

function later(priority, ...rest) {
    const slot = rest.at(-1);
    waiting.push([++sources, slot]);
    return sources;
}

// One turn of the Shell's loop.
function turn() {
    const due = waiting;
    waiting = [];
    for (const [, slot] of due)
        slot();
}

const GLib = {
    PRIORITY_DEFAULT: 0, PRIORITY_LOW: 300, SOURCE_REMOVE: false,
    idle_add: later, timeout_add: later,
    source_remove: id => { waiting = waiting.filter(([other]) => other !== id); },
    Variant: class { constructor(signature, body) { this.body = body; } },
};
const Gio = {
    DBus: {session: {}},
    BusNameOwnerFlags: {NONE: 0},
    bus_own_name_on_connection: () => 1,
    bus_unown_name: () => {},
    DBusExportedObject: {
        wrapJSObject: () => ({
            export: () => {},
            unexport: () => {},
            emit_signal: (name, variant) => console.log(JSON.stringify([name, ...variant.body])),
        }),
    },
};
const Meta = {WindowClientType: {WAYLAND: 0, X11: 1}};
class Extension {}

class Window extends Emitter {
    constructor(id, pid, type, index) {
        super();
        Object.assign(this, {id, pid, type, index, minimized: false, full: false, title: 'a title'});
    }
    get_id() { return this.id; }
    get_pid() { return this.pid; }
    get_client_type() { return this.type; }
    get_workspace() { return {index: () => this.index}; }
    located_on_workspace(workspace) { return workspace.number === this.index; }
    is_on_all_workspaces() { return false; }
    is_override_redirect() { return false; }
    is_fullscreen() { return this.full; }
    has_focus() { return global.display.focus === this; }
    get_sandboxed_app_id() { return null; }
    get_gtk_application_id() { return null; }
    get_wm_class() { return 'app'; }
    get_title() { return this.title; }
}

const first = new Window(1, 10, Meta.WindowClientType.WAYLAND, 0);
const second = new Window(2, 20, Meta.WindowClientType.X11, 1);
let all = [first, second];
global.display = new Emitter();
global.display.focus = first;
global.workspace_manager = new Emitter();
global.workspace_manager.current = 0;
global.workspace_manager.get_active_workspace = () => ({number: global.workspace_manager.current});
global.get_window_actors = () => all.map(meta_window => ({meta_window}));

// @EXTENSION@

const extension = new SmoothTaskWindows();
extension.enable();
turn();
first.minimized = true;
first.emit('notify::minimized');
second.full = true;
second.emit('notify::fullscreen');
turn();
global.workspace_manager.current = 1;
global.workspace_manager.emit('active-workspace-changed');
turn();
const third = new Window(3, 30, Meta.WindowClientType.WAYLAND, 1);
all = [...all, third];
global.display.emit('window-created', third);
turn();
third.title = 'another title';
third.emit('notify::title');
third.emit('notify::title');
turn();
global.display.emit('notify::focus-window');  // nothing has changed
turn();
all = [second, third];
first.emit('unmanaged');
turn();
third.emit('notify::title');
extension.disable();
const left = [global.display, global.workspace_manager, second, third].reduce((sum, object) => sum + object.left, 0);
console.log(JSON.stringify(['left', left + waiting.length]));
