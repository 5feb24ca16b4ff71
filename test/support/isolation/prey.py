# The victim of tries: a process with a secret in each place where a process can have one, and with children that can be harmed. It runs as a
# tool of one session, and on the machine outside of every session. Its one argument is a file of settings, in which every secret is written
# backwards: finding one means having read it in its place. It ends when it finds the file stop-<mark>, or after ten minutes.
import ctypes, json, os, socket, subprocess, sys, threading, time

with open(sys.argv[1]) as file:
    settings = json.load(file)
secrets = {name: word[::-1] for name, word in settings["secrets"].items()}
if "PREY" not in os.environ and sys.argv[-1] != "remove":
    args = [sys.executable, os.path.abspath(__file__), sys.argv[1], settings["mark"], secrets["argv"]]
    os.execve(sys.executable, args, {**os.environ, "PREY": secrets["environ"]})

add_key, keyctl = (248, 250) if os.uname().machine == "x86_64" else (217, 219)
of_the_user = -4
mark, key = settings["mark"], settings["key"]
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.shmat.restype = ctypes.c_void_p
try:
    posix = ctypes.CDLL("librt.so.1", use_errno=True)
except OSError:
    posix = libc


def word(name):
    return secrets[name].encode()


def check(result, what):
    if result is None or result < 0 or result == 0xFFFFFFFFFFFFFFFF:
        raise OSError(ctypes.get_errno(), what)
    return result


def serve(address):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()

    def answer():
        while True:
            peer, _ = listener.accept()
            peer.sendall(word("abstract" if address[0] == "\0" else "socket"))
            peer.close()

    threading.Thread(target=answer, daemon=True).start()


def plant_files():
    for path, name in ((f"note-{mark}.txt", "note"), (f"/tmp/{mark}.txt", "tmp"), (f"/dev/shm/{mark}", "shm")):
        with open(path, "w") as file:
            file.write(secrets[name] + "\n")
    opened = open(f"gone-{mark}", "w+")
    opened.write(secrets["open"])
    opened.flush()
    os.unlink(opened.name)
    return opened


def plant_ipc():
    segment = check(libc.shmget(key, 4096, 0o1600), "shmget")
    ctypes.memmove(check(libc.shmat(segment, None, 0), "shmat"), word("sysv"), len(word("sysv")))
    queue = check(libc.msgget(key, 0o1600), "msgget")
    message = (1).to_bytes(8, sys.byteorder) + word("message")
    check(libc.msgsnd(queue, message, len(word("message")), 0), "msgsnd")
    # A small one: the kernel gives each user few bytes for all of them.
    one_message = (ctypes.c_long * 8)(0, 1, 256)
    mailbox = check(posix.mq_open(f"/{mark}".encode(), os.O_CREAT | os.O_RDWR, 0o600, one_message), "mq_open")
    check(posix.mq_send(mailbox, word("mailbox"), len(word("mailbox")), 0), "mq_send")
    set_timeout = 15
    # A box may have no keys at all.
    kept = libc.syscall(add_key, b"user", mark.encode(), word("keyring"), len(word("keyring")), of_the_user)
    if kept > 0:
        libc.syscall(keyctl, set_timeout, kept, 600)


def remove():
    """What it has made, by name: also for a prey that was killed."""
    remove_it, search, unlink = 0, 10, 9
    libc.shmctl(libc.shmget(key, 0, 0), remove_it, None)
    libc.msgctl(libc.msgget(key, 0), remove_it, None)
    posix.mq_unlink(f"/{mark}".encode())
    kept = libc.syscall(keyctl, search, of_the_user, b"user", mark.encode(), 0)
    libc.syscall(keyctl, unlink, kept, of_the_user)
    for path in (f"/tmp/{mark}.txt", f"/dev/shm/{mark}"):
        if os.path.exists(path):
            os.unlink(path)


if sys.argv[-1] == "remove":
    remove()
    sys.exit()
opened = plant_files()
plant_ipc()
serve(f"{mark}.sock")
serve(f"\0{mark}")
memory = bytearray(word("memory"))
# They are found by their argument, which is unique on the machine.
children = [subprocess.Popen(["sleep", f"600.{number}"], start_new_session=True) for number in settings["children"]]
with open(f"ready-{mark}", "w") as file:
    file.write("ready")
deadline = time.monotonic() + 600
while time.monotonic() < deadline and not os.path.exists(f"stop-{mark}"):
    time.sleep(0.1)
remove()
for child in children:
    child.kill()
