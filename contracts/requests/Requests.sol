// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IInstances} from "../instances/IInstances.sol";
import {IFaultBonds} from "../registry/IHostBonds.sol";
import {IRequester, IRequests} from "./IRequests.sol";

/// @notice An app contract with an owner.
interface IAppWithOwner {
    /// @notice The owner of the app.
    function owner() external view returns (address);
}

/// @notice Paid work by attested instances.
/// @dev Order in each function: checks, then storage and events, then the one call to code that is not trusted (the requester's
/// `onResult`, or the receiver of a withdrawal). So a call that comes back finds a finished state, and needs no lock.
contract Requests is IRequests {
    /// @dev Separate the signatures over results and workers from each other and from those of other protocols.
    bytes32 private constant RESULT = keccak256("assent-request-result-v1");
    bytes32 private constant WORKER = keccak256("assent-request-worker-v1");
    bytes32 private constant REQUEST = keccak256("assent-request-v1");

    /// @dev The whole of a fee, in hundredths of a percent.
    uint256 private constant WHOLE = 10_000;
    uint256 private constant MAX_DAO_SHARE = 1_000;
    uint256 private constant MAX_OWNER_SHARE = 5_000;
    uint256 private constant MIN_ANSWER_TIME = 1 minutes;
    uint256 private constant MAX_ANSWER_TIME = 1 days;
    /// @dev No fee is held for longer.
    uint256 private constant MAX_WAIT = 30 days;
    uint256 private constant MAX_REFERENCE = 4_096;
    uint256 private constant MAX_RESULT = 4_096;
    uint256 private constant MAX_CALLBACK_GAS = 1_000_000;
    /// @dev Gas around a callback: for the cold account, and to finish.
    uint256 private constant CALL_COST = 10_000;
    /// @dev Workers that one call looks at.
    uint256 private constant MAX_LOOKS = 4;
    /// @dev Then the request is refundable: an input that nobody can process must not go around until its deadline.
    uint256 private constant MAX_ASSIGNMENTS = 5;
    /// @dev The part of the least bond that a late answer costs.
    uint96 private constant LATE_PART = 100;

    /// @notice Says which keys speak for which app now.
    IInstances public immutable instances;
    /// @notice The bonds of operators; zero = no bond is required and none is slashed.
    IFaultBonds public immutable bonds;
    /// @notice Receives the DAO's share.
    address public immutable dao;
    /// @notice The DAO's share of each fee, in hundredths of a percent; at most 1,000.
    uint16 public immutable daoShare;

    mapping(bytes32 id => Request) private _requests;
    mapping(address key => Worker) private _workers;
    mapping(address app => address[]) private _lists;
    /// @dev Whose turn it is: a number that only grows, modulo the length of the list.
    mapping(address app => uint256) private _turns;
    mapping(address app => Terms) private _terms;
    /// @inheritdoc IRequests
    mapping(address account => uint256) public balanceOf;
    /// @inheritdoc IRequests
    uint256 public requestCount;

    /// @param instances_ says which keys speak for which app.
    /// @param bonds_ the bonds of operators, or zero.
    /// @param dao_ receives the DAO's share.
    /// @param daoShare_ in hundredths of a percent, at most 1,000.
    constructor(IInstances instances_, IFaultBonds bonds_, address dao_, uint16 daoShare_) {
        require(address(instances_) != address(0) && dao_ != address(0), RequestRulesInvalid());
        require(daoShare_ <= MAX_DAO_SHARE, RequestRulesInvalid());
        (instances, bonds, dao, daoShare) = (instances_, bonds_, dao_, daoShare_);
    }

    /* REQUESTERS */

    /// @inheritdoc IRequests
    function request(
        address app,
        bytes32 inputDigest,
        bytes calldata inputReference,
        uint40 deadline,
        uint32 callbackGas
    ) external payable returns (bytes32 id) {
        require(inputReference.length <= MAX_REFERENCE, TooLong(inputReference.length, MAX_REFERENCE));
        Request memory made = _newRequest(app, deadline, callbackGas);
        uint256 number = ++requestCount;
        id = idOf(number, msg.sender, app, inputDigest, deadline);
        _requests[id] = made;

        emit Requested(id, app, msg.sender, number, inputDigest, inputReference, made);
        _choose(id, _requests[id], address(0));
    }

    /// @dev Checks what the caller chose, and copies the terms of the app.
    function _newRequest(address app, uint40 deadline, uint32 callbackGas) private view returns (Request memory made) {
        Terms storage terms = _terms[app];
        (uint256 minFee, uint24 answerTime) = (terms.minFee, terms.answerTime);
        require(answerTime != 0, TermsMissing(app));
        require(msg.value >= minFee && msg.value <= type(uint96).max, FeeInvalid(msg.value, minFee));
        (uint256 earliest, uint256 latest) = (block.timestamp + answerTime, block.timestamp + MAX_WAIT);
        require(deadline >= earliest && deadline <= latest, DeadlineInvalid(deadline, earliest, latest));
        require(callbackGas <= MAX_CALLBACK_GAS, CallbackGasInvalid(callbackGas, MAX_CALLBACK_GAS));

        (made.requester, made.fee, made.app) = (msg.sender, uint96(msg.value), app);
        (made.deadline, made.ownerShare, made.callbackGas) = (deadline, terms.ownerShare, callbackGas);
        (made.answerTime, made.settled) = (answerTime, State.Waiting);
    }

    /// @inheritdoc IRequests
    function assign(bytes32 id) external {
        Request storage asked = _requests[id];
        State state = stateOf(id);
        require(state == State.Waiting || state == State.Late, RequestStateInvalid(id, state));
        address late = asked.worker;
        if (late != address(0)) {
            _workers[late].open--;
            _recordMissed(id, asked);
        }
        _choose(id, asked, late);
    }

    /// @inheritdoc IRequests
    /// @dev Calls no other contract: no registry, app, worker or requester can stop it. So it leaves the fault of a late worker to
    /// `recordMissed`.
    function refund(bytes32 id) external {
        Request storage asked = _requests[id];
        State state = stateOf(id);
        require(state == State.Refundable, RequestStateInvalid(id, state));
        address late = asked.worker;
        if (late != address(0)) _workers[late].open--;

        asked.settled = State.Refunded;
        balanceOf[asked.requester] += asked.fee;

        emit Refunded(id, asked.requester, asked.fee);
    }

    /// @dev Gives the request to the worker whose turn it is, except `but`. A worker without room keeps its place; one that is
    /// not fit loses it. If nobody is found, the request waits.
    function _choose(bytes32 id, Request storage asked, address but) private {
        uint256 due = block.timestamp + asked.answerTime;
        if (!_mayAssign(asked)) return;
        address app = asked.app;
        address[] storage list = _lists[app];
        uint256 turn = _turns[app];
        for (uint256 i = 0; i < MAX_LOOKS && list.length != 0; i++) {
            address key = list[turn % list.length];
            Worker storage worker = _workers[key];
            if (key == but || worker.open >= worker.capacity) {
                turn++;
            } else if (!_isFit(key, worker, due)) {
                _remove(key, worker);
            } else {
                (asked.worker, asked.due) = (key, uint40(due));
                asked.assignments++;
                worker.open++;
                turn++;
                emit Assigned(id, key, worker.operator, uint40(due));
                break;
            }
        }
        _turns[app] = turn;
    }

    /// @dev Whether another worker could still have its whole time.
    function _mayAssign(Request storage asked) private view returns (bool) {
        return asked.assignments < MAX_ASSIGNMENTS && block.timestamp + asked.answerTime <= asked.deadline;
    }

    /// @inheritdoc IRequests
    function recordMissed(bytes32 id) external {
        Request storage asked = _requests[id];
        State state = asked.settled;
        require(state == State.Refunded && asked.worker != address(0), RequestStateInvalid(id, state));
        _recordMissed(id, asked);
    }

    /// @dev The worker neither answered nor declined. This is a fault, unless its key stopped to count because of an approval.
    /// A key that was ended or has expired is no excuse: the worker was chosen for a time in which it would not expire, and could
    /// end its key itself.
    function _recordMissed(bytes32 id, Request storage asked) private {
        address key = asked.worker;
        Worker storage worker = _workers[key];
        IInstances.Standing standing = instances.standingOf(key);
        bool isFault =
            standing == IInstances.Standing.Live ||
                standing == IInstances.Standing.Ended ||
                standing == IInstances.Standing.Expired;
        asked.worker = address(0);
        if (isFault && worker.lates != type(uint16).max) worker.lates++;

        emit MissedDue(id, key, worker.operator, isFault);
    }

    /* WORKERS */

    /// @inheritdoc IRequests
    function join(address app, address key, bytes32 deviceId, uint16 capacity, bytes calldata signature) external {
        Worker storage worker = _workers[key];
        if (worker.app == address(0)) {
            address found = _signerOf(workerDigest(app, msg.sender, deviceId), signature);
            require(found == key && key != address(0), WorkerNotSigned(found, key));
            (worker.app, worker.operator, worker.deviceId) = (app, msg.sender, deviceId);
        }
        bool isSame = worker.app == app && worker.operator == msg.sender && worker.deviceId == deviceId;
        require(isSame && capacity != 0 && _isFit(key, worker, block.timestamp), WorkerUnfit(key));

        worker.capacity = capacity;
        if (worker.place == 0) {
            _lists[app].push(key);
            worker.place = uint32(_lists[app].length);
        }

        emit WorkerJoined(app, msg.sender, key, deviceId, capacity);
    }

    /// @inheritdoc IRequests
    function retire(address key) external {
        Worker storage worker = _workers[key];
        _requireOfWorker(key, worker);
        require(worker.place != 0, WorkerUnfit(key));
        _remove(key, worker);
    }

    /// @inheritdoc IRequests
    function fulfil(bytes32 id, bytes calldata result, bytes calldata signature) external {
        Request storage asked = _requests[id];
        address key = asked.worker;
        bool isOpen = asked.settled == State.Waiting && block.timestamp <= asked.deadline;
        require(isOpen && key != address(0), RequestStateInvalid(id, stateOf(id)));
        require(result.length <= MAX_RESULT, TooLong(result.length, MAX_RESULT));
        bytes32 digest = resultDigest(id, keccak256(result));
        bool isSigned = _signerOf(digest, signature) == key && !_workers[key].isExcluded;
        require(isSigned && instances.isFrom(asked.app, digest, signature), ResultUnauthorized(id, key));

        asked.settled = State.Fulfilled;
        _workers[key].open--;
        _pay(id, asked, key, result);
        if (asked.callbackGas != 0) _callBack(id, asked.requester, asked.callbackGas, result);
    }

    /// @dev Splits the fee. What division leaves over belongs to the operator.
    function _pay(bytes32 id, Request storage asked, address key, bytes calldata result) private {
        address operator = _workers[key].operator;
        uint96 fee = asked.fee;
        uint96 daoPart = uint96((uint256(fee) * daoShare) / WHOLE);
        uint96 ownerPart = uint96((uint256(fee) * asked.ownerShare) / WHOLE);
        uint96 operatorPart = fee - daoPart - ownerPart;
        balanceOf[dao] += daoPart;
        balanceOf[_terms[asked.app].payee] += ownerPart;
        balanceOf[operator] += operatorPart;

        bool isOnTime = block.timestamp <= asked.due;
        emit Fulfilled(id, key, operator, result, isOnTime, operatorPart, ownerPart, daoPart);
    }

    /// @dev Calls the requester with its gas, and copies nothing of what it returns. A failure is recorded.
    function _callBack(bytes32 id, address requester, uint256 gasLimit, bytes calldata result) private {
        bytes memory message = abi.encodeCall(IRequester.onResult, (id, result));
        // a call gets at most 63/64 of the gas that is left (EIP-150)
        uint256 available = gasleft() - gasleft() / 64;
        require(available >= gasLimit + CALL_COST, GasTooLow(available, gasLimit + CALL_COST));
        bool done;
        assembly ("memory-safe") {
            done := call(gasLimit, requester, 0, add(message, 32), mload(message), 0, 0)
        }
        if (!done) emit CallbackFailed(id, requester);
    }

    /// @inheritdoc IRequests
    function decline(bytes32 id) external {
        Request storage asked = _requests[id];
        State state = stateOf(id);
        require(state == State.Assigned, RequestStateInvalid(id, state));
        address key = asked.worker;
        Worker storage worker = _workers[key];
        _requireOfWorker(key, worker);

        asked.worker = address(0);
        worker.open--;

        emit Declined(id, key, worker.operator);
        _choose(id, asked, key);
    }

    function _requireOfWorker(address key, Worker storage worker) private view {
        bool isAllowed = worker.app != address(0) && (msg.sender == worker.operator || msg.sender == key);
        require(isAllowed, WorkerUnauthorized(msg.sender, key));
    }

    /// @dev Whether a worker may have a request until `due`: live for its app, on its host, with its bond, never in contradiction.
    /// Reverts if the registries do: an outage does not cost a worker its place.
    function _isFit(address key, Worker storage worker, uint256 due) private view returns (bool) {
        if (worker.isExcluded) return false;
        (IInstances.Record memory record, IInstances.Standing standing) = instances.instanceOf(key);
        if (standing != IInstances.Standing.Live || record.app != worker.app || record.expiresAt <= due) return false;
        bytes32 deviceId = worker.deviceId;
        if (record.way == IInstances.Way.Quote && record.subject != deviceId) return false;
        return address(bonds) == address(0) || bonds.isBonded(deviceId, worker.operator);
    }

    /// @dev The last worker of the list takes the place.
    function _remove(address key, Worker storage worker) private {
        address app = worker.app;
        address[] storage list = _lists[app];
        uint32 place = worker.place;
        address last = list[list.length - 1];
        list[place - 1] = last;
        list.pop();
        _workers[last].place = place;
        worker.place = 0;

        emit WorkerLeft(app, worker.operator, key);
    }

    /* FAULTS */

    /// @inheritdoc IRequests
    function proveContradiction(
        bytes32 id,
        address key,
        bytes32 first,
        bytes calldata firstSignature,
        bytes32 second,
        bytes calldata secondSignature
    ) external {
        Worker storage worker = _workers[key];
        bool isSigned =
            _signerOf(resultDigest(id, first), firstSignature) == key &&
                _signerOf(resultDigest(id, second), secondSignature) == key;
        bool isNew = worker.app != address(0) && !worker.isExcluded;
        require(isNew && isSigned && first != second, NoContradiction(id, key));

        (worker.isExcluded, worker.owesContradiction) = (true, true);

        emit ContradictionProven(id, key, worker.operator);
        if (worker.place != 0) _remove(key, worker);
    }

    /// @inheritdoc IRequests
    function slash(address key) external {
        Worker storage worker = _workers[key];
        bool isContradiction = worker.owesContradiction;
        require(address(bonds) != address(0) && (isContradiction || worker.lates != 0), NothingToSlash(key));
        if (isContradiction) worker.owesContradiction = false;
        else worker.lates--;
        uint96 amount = bonds.minimum();
        if (!isContradiction) amount /= LATE_PART;
        Fault fault = isContradiction ? Fault.Contradiction : Fault.Late;

        emit WorkerSlashed(key, worker.operator, fault, amount);
        bonds.slashFault(worker.deviceId, worker.operator, amount, abi.encode(key, fault));
    }

    /* OWNERS OF APPS */

    /// @inheritdoc IRequests
    function setTerms(address app, Terms calldata terms) external {
        address owner = IAppWithOwner(app).owner();
        require(msg.sender == owner, TermsUnauthorized(msg.sender, owner));
        bool bounded = terms.answerTime >= MIN_ANSWER_TIME && terms.answerTime <= MAX_ANSWER_TIME;
        bool isShared = terms.payee != address(0) && terms.ownerShare <= MAX_OWNER_SHARE;
        require((bounded || terms.answerTime == 0) && isShared, TermsInvalid());
        _terms[app] = terms;

        emit TermsSet(app, terms);
    }

    /* MONEY */

    /// @inheritdoc IRequests
    function withdraw(address account) external {
        _send(account, account);
    }

    /// @inheritdoc IRequests
    function withdrawTo(address to) external {
        _send(msg.sender, to);
    }

    function _send(address account, address to) private {
        uint256 amount = balanceOf[account];
        require(amount != 0, NothingToWithdraw(account));
        balanceOf[account] = 0;

        emit Withdrawn(account, to, amount);
        bool done;
        assembly ("memory-safe") {
            done := call(gas(), to, amount, 0, 0, 0, 0)
        }
        require(done, PaymentFailed(to));
    }

    /* VIEWS */

    /// @inheritdoc IRequests
    function requestOf(bytes32 id) external view returns (Request memory) {
        return _requests[id];
    }

    /// @inheritdoc IRequests
    function stateOf(bytes32 id) public view returns (State) {
        Request storage asked = _requests[id];
        if (asked.settled != State.Waiting) return asked.settled;
        bool hasWorker = asked.worker != address(0);
        if (hasWorker && block.timestamp <= asked.due) return State.Assigned;
        if (!_mayAssign(asked)) return State.Refundable;
        return hasWorker ? State.Late : State.Waiting;
    }

    /// @inheritdoc IRequests
    function workerOf(address key) external view returns (Worker memory) {
        return _workers[key];
    }

    /// @inheritdoc IRequests
    function termsOf(address app) external view returns (Terms memory) {
        return _terms[app];
    }

    /// @inheritdoc IRequests
    function workerCount(address app) external view returns (uint256) {
        return _lists[app].length;
    }

    /// @inheritdoc IRequests
    function workerAt(address app, uint256 index) external view returns (address) {
        return _lists[app][index];
    }

    /// @inheritdoc IRequests
    function idOf(
        uint256 number,
        address requester,
        address app,
        bytes32 inputDigest,
        uint40 deadline
    ) public view returns (bytes32) {
        return
            keccak256(abi.encode(REQUEST, block.chainid, address(this), number, requester, app, inputDigest, deadline));
    }

    /// @inheritdoc IRequests
    function resultDigest(bytes32 id, bytes32 resultHash) public view returns (bytes32) {
        return keccak256(abi.encode(RESULT, block.chainid, address(this), id, resultHash));
    }

    /// @inheritdoc IRequests
    function workerDigest(address app, address operator, bytes32 deviceId) public view returns (bytes32) {
        return keccak256(abi.encode(WORKER, block.chainid, address(this), app, operator, deviceId));
    }

    /// @dev The signer; zero for anything that is not one signature with low s.
    function _signerOf(bytes32 digest, bytes calldata signature) private pure returns (address signer) {
        (signer, , ) = ECDSA.tryRecoverCalldata(digest, signature);
    }
}
